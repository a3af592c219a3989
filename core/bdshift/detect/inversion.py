"""What detectors that look for a small change of the images have in common: for every class the
smallest change of one kind that sends clean images there.
"""

from __future__ import annotations

import time
from abc import ABC
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.changes import CHANGES
from bdshift.detect.budget import classes_to_try
from bdshift.detect.detector import Evidence, Subject
from bdshift.detect.image_search import ImageSearch, small
from bdshift.jobs import JobContext
from bdshift.recovery.curve import measure_sizes
from bdshift.recovery.presence import own_images, presence
from bdshift.recovery.recovery import LEVELS
from bdshift.recovery.scene import scene_of
from bdshift.recovery.search import passes, search
from bdshift.words import words

_LOOKED_AT = 3  # classes whose own images are looked at


@dataclass(frozen=True)
class InvertedChanges:
    """The smallest change of every class. Arrays are read-only; of classes that were not tried they
    are NaN or zero.

    Attributes:
        sizes: on images that the search did not use, at a success of 0.5, 0.8 and 0.95, float64
            (C, 3); infinite where that was not reached.
        asr: success of the change as it was found, on those images, float64 (C,).
        pictures: what the changes look like, uint8 (C, 3, p, p).
        strengths: how much they do at every pixel, uint8 (C, p, p).
        natural: share of the class's own clean images that look as if the change had been made to
            them (`bdshift.recovery.presence`), float64 (C,); NaN but for the classes with the
            smallest changes. None in older audits.
    """

    sizes: NDArray[np.float64] = array("C", len(LEVELS))
    asr: NDArray[np.float64] = array("C")
    pictures: NDArray[np.uint8] = array("C", 3, "p", "p", dtype=np.uint8)
    strengths: NDArray[np.uint8] = array("C", "p", "p", dtype=np.uint8)
    natural: NDArray[np.float64] | None = array("C", default=None)

    def __post_init__(self) -> None:
        freeze(self)


@dataclass(frozen=True)
class InversionDetector(ImageSearch, ABC):
    """A detector whose scores are sizes, at a success of 0.8 on images that were not used. With
    many classes, the budget decides how many are tried.
    """

    record = InvertedChanges
    score_help = words(
        "Smallest change found that sends 80% of unused images of other classes to this one.",
        ja="探索に使わなかった他クラスの画像の 80% をこのクラスへ誘導する、見つかった最小の変化。",
    )
    short = words(
        "“{name}” needs a change {less:.0%} smaller than any other class",
        ja="「{name}」への変化は、他のどのクラスより {less:.0%} 小さい",
    )
    one = words(
        "{detector}: class {index} “{name}” is reached by an unusually small change, {score:#.3g}; "
        "the next smallest is {other:#.3g}{chance}.",
        ja="{detector}：クラス {index}「{name}」には異常に小さい変化 {score:#.3g} で到達します。"
           "他の最小は {other:#.3g}{chance}。",
    )  # fmt: skip
    many = words(
        "{detector}: {count:|class is|classes are} reached by unusually small changes: {classes}; "
        "the smallest of the rest is {other:#.3g}{chance}.",
        ja="{detector}：{count} クラスに異常に小さい変化で到達します：{classes}。"
           "他の最小は {other:#.3g}{chance}。",
    )  # fmt: skip
    none = words(
        "{detector}: no class is reached by an unusually small change; the smallest, {score:#.3g} "
        "to class {index} “{name}”, is in line with the others{chance}.",
        ja="{detector}：異常に小さい変化で到達できるクラスはありません。"
           "最小はクラス {index}「{name}」の {score:#.3g} で、他のクラスの範囲内です{chance}。",
    )  # fmt: skip
    far = words(
        "{detector}: class {index} “{name}” is reached only by an unusually large change, "
        "{score:#.3g}; the next largest is {other:#.3g}.",
        ja="{detector}：クラス {index}「{name}」へ到達する変化は異常に大きい値 {score:#.3g} です。"
           "他の最大は {other:#.3g}。",
    )  # fmt: skip

    def work(self, classes: int) -> int:
        """See `ImageSearch`."""
        return passes(CHANGES.parse(self.change), classes)

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Search for all classes at once, then measure on the other images."""
        started = time.perf_counter()
        kind = CHANGES.parse(self.change)
        with scene_of(
            subject.classifier, subject.collection, subject.embedding, self.images,
            seed=subject.seed, device=subject.device, job=job,
        ) as scene:  # fmt: skip
            used, unused = scene.halves()
            fixed = self.work(0)
            each = self.work(1) - fixed
            tried = classes_to_try(subject, used, each, self.budget, job, fixed=fixed)
            targets = torch.tensor(tried, device=scene.device)
            found = search(kind, used, targets, seed=subject.seed)
            measured = measure_sizes(kind, unused, found)
            with torch.no_grad():
                drawn = small(kind.picture(found.params))
                strong = small(kind.strength(found.params)[:, None])[:, 0]
            classes = len(subject.weight)
            natural = np.full(classes, np.nan)
            assert subject.collection is not None  # there is a scene
            for place in _smallest([one.size for one in measured]):
                target = measured[place].target
                natural[target] = presence(
                    kind, found.of(place),
                    own_images(scene, subject.collection, subject.embedding, target),
                    scene.pixels[scene.labels != target],
                )  # fmt: skip
        sizes, asr = np.full((classes, len(LEVELS)), np.nan), np.full(classes, np.nan)
        pictures = np.zeros((classes, *drawn.shape[1:]), dtype=np.uint8)
        strengths = np.zeros((classes, *strong.shape[1:]), dtype=np.uint8)
        pictures[tried], strengths[tried] = drawn, strong
        for one in measured:
            sizes[one.target], asr[one.target] = one.sizes, one.asr
        return Evidence(
            self.spec, sizes[:, LEVELS.index(0.8)].copy(), seconds=time.perf_counter() - started,
            forwards=used.forwards + unused.forwards, backwards=used.backwards,
            seed=subject.seed, record=InvertedChanges(sizes, asr, pictures, strengths, natural),
        )  # fmt: skip


def _smallest(sizes: list[float]) -> list[int]:
    """Places of the smallest few that are finite."""
    order = np.argsort(sizes, kind="stable")[:_LOOKED_AT].tolist()
    return [one for one in order if np.isfinite(sizes[one])]
