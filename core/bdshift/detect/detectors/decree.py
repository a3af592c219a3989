"""DECREE (Feng et al., 2023), made for encoders without labels, on the last embedding.

One mask and one pattern that make the embeddings of all images with it alike, as its authors'
program does with the settings for small encoders up to 96 pixels and with those for large ones
above. Clean encoders are often below its threshold, so beside a reference, the ratio is given. What
it gives is one number for the whole model, the mask's share of the image (PL1), flagged
below 0.1. It knows no classes; here the class is where images with the pattern go, and the score of
a class is PL1 divided by the share of images that go there, infinite if none do. Known flaws, kept:
one starting point, a fixed threshold, and natural patterns that make embeddings alike. In a
classifier, any image of a class does that.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bdshift.arrays import array, freeze
from bdshift.detect.detector import DETECTORS, Detector, Evidence, Subject
from bdshift.detect.published import THEIR_PROGRAM, batch_setting, images_setting
from bdshift.detect.tanh_mask import TanhMask, images_that_fit, painted, share_sent
from bdshift.jobs import JobContext
from bdshift.recovery.scene import Scene, scene_of
from bdshift.remark import Remark, code
from bdshift.setting import setting
from bdshift.words import words

_ALIKE = 0.99  # mean cosine of a batch that counts as a success
_FLAGGED = 0.1  # PL1
_FACTOR = 5.0  # of the weight of the mask's size, up and down
_FIRST, _HIGHEST = 1e-3, 1e5  # of that weight
_PATIENCE = 5  # batches until it changes
_AGAIN = 10  # successes in a row below the lowest weight until it begins again
_SMALL = 96  # pixels

_STAGE = words("DECREE", ja="DECREE")
_RATIO = code(
    "decree-beside",
    words("DECREE's mask covers {own:.1%} of the image here and {other:.1%} in the reference: "
          "{ratio:#.2g} times as much. A backdoor makes it smaller; its authors give no threshold "
          "for the ratio.",
          ja="DECREE のマスクが画像に占める割合は {own:.1%}、参照モデルでは {other:.1%} "
             "です（{ratio:#.2g} 倍）。バックドアがあると小さくなりますが、"
             "比の基準値は論文にありません。"),
)  # fmt: skip


@dataclass(frozen=True)
class DecreeRecord:
    """What it keeps.

    Attributes:
        share: of the images of other classes that the pattern sends to each class, float64 (C,).
        pl1: the mask's share of the image; NaN if the embeddings never became alike.
        cosine: mean cosine of the embeddings during the last round.
        rounds: through the images.
        flagged: whether the paper would flag the model.
    """

    share: NDArray[np.float64] = array("C")
    pl1: float = math.nan
    cosine: float = math.nan
    rounds: int = 0
    flagged: bool = False

    def __post_init__(self) -> None:
        freeze(self)


@DETECTORS.register
@dataclass(frozen=True)
class Decree(Detector):
    """PL1 of the one pattern, for the classes that it sends images to."""

    name = "decree"
    label = words("DECREE, as published", ja="DECREE（論文どおり）")
    summary = words("Smallest mask and pattern that make the embeddings of all images alike, as "
                    "published in 2023. It looks for no class. For comparison.",
                    ja="全画像の埋め込みを似たものにする最小のマスクとパターンを、2023 年の論文"
                       "どおり求めます。クラスは区別しません。比較用です。")  # fmt: skip
    place = 130
    record = DecreeRecord
    nature = "encoder"
    score_label = "PL1"
    score_help = words("Share of the image that DECREE's mask covers, divided by the share of "
                       "images that go to the class.",
                       ja="DECREE のマスクが画像に占める割合を、そのクラスへ誘導された画像の割合で"
                          "割った値。")  # fmt: skip
    unit = words("share of the image", ja="画像に占める割合")
    one = words(
        "DECREE's pattern for class {index} “{name}” is unusually small: {score:#.3g} of the "
        "image; the next smallest is {other:#.3g}{chance}.",
        ja="クラス {index}「{name}」への DECREE のパターンは異常に小さい：画像の {score:#.3g}、"
           "他の最小は {other:#.3g}{chance}。",
    )  # fmt: skip
    many = words(
        "DECREE's pattern is unusually small for {count:|class|classes}: {classes}; the smallest "
        "of the rest is {other:#.3g} of the image{chance}.",
        ja="DECREE のパターンは {count} クラスで異常に小さい：{classes}。"
           "他の最小は画像の {other:#.3g}{chance}。",
    )  # fmt: skip
    none = words(
        "DECREE's pattern sends images to class {index} “{name}” and covers {score:#.3g} of the "
        "image; no class stands out{chance}.",
        ja="DECREE のパターンは画像をクラス {index}「{name}」へ誘導し、画像の {score:#.3g} を"
           "覆います。突出したクラスはありません{chance}。",
    )  # fmt: skip
    far = words(
        "DECREE's pattern for class {index} “{name}” is unusually large: {score:#.3g} of the "
        "image; the next largest is {other:#.3g}. A backdoor makes it smaller.",
        ja="クラス {index}「{name}」への DECREE のパターンは異常に大きい：画像の {score:#.3g}、"
           "次に大きい値は {other:#.3g}。バックドアがあると小さくなります。",
    )  # fmt: skip

    rounds: int = setting(
        1000, words("Rounds", ja="周回数"), words("Through the images, at most.",
                                               ja="画像を使う周回数の上限。"),
        low=1, high=100_000, source=THEIR_PROGRAM,
    )  # fmt: skip
    batch: int = batch_setting(
        128, words("The authors' program; 32 for CLIP.", ja="著者のプログラム。CLIP では 32。")
    )
    images: int = images_setting()

    def beside(self, evidence: Evidence, reference: Evidence) -> Remark | None:
        """The ratio of both masks' shares of the image."""
        own, other = evidence.record.pl1, reference.record.pl1
        if not (math.isfinite(own) and math.isfinite(other) and other > 0):
            return None
        return Remark(_RATIO, {"own": own, "other": other, "ratio": own / other})

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Invert once."""
        started = time.perf_counter()
        side = 1 if subject.classifier is None else subject.classifier.preprocessing.size
        with scene_of(
            subject.classifier, subject.collection, subject.embedding,
            images_that_fit(self.images, side), seed=subject.seed, device=subject.device, job=job,
        ) as scene:  # fmt: skip
            search = _Search(scene, subject.seed, self.rounds, min(self.batch, len(scene.labels)))
            search.run()
            share = share_sent(scene, *search.trigger).cpu().numpy().astype(np.float64)
        with np.errstate(divide="ignore"):
            scores = np.where(np.isnan(share), np.nan, search.smallest / np.nan_to_num(share))
        pl1 = search.smallest if math.isfinite(search.smallest) else math.nan
        return Evidence(
            self.spec, scores, seconds=time.perf_counter() - started, forwards=scene.forwards,
            backwards=scene.backwards, seed=subject.seed,
            record=DecreeRecord(share, pl1, search.cosine, search.rounds, pl1 < _FLAGGED),
        )  # fmt: skip


class _Search:
    """The search of one model. ``smallest`` and ``trigger`` are the best so far."""

    def __init__(self, scene: Scene, seed: int, rounds: int, batch: int) -> None:
        side = scene.pixels.shape[-1]
        self.scene, self.seed, self.most, self.batch = scene, seed, rounds, batch
        self.small = side <= _SMALL
        self.lowest, self.patience = (1e-5, 10) if self.small else (1e-7, 35)
        self.changing = TanhMask(side, torch.Generator().manual_seed(seed), scene.device)
        self.weight = _FIRST
        self.smallest, self.cosine, self.rounds = math.inf, math.nan, 0
        self.trigger = self.changing.mask.detach(), self.changing.pattern.detach()
        self._works = self._fails = self._waits = self._worse = 0

    def run(self) -> None:
        """Until the mask no longer gets smaller."""
        batches = math.ceil(len(self.scene.labels) / self.batch)
        for number in range(self.most):
            rate = self._rate(number)
            cosines = [self._step(number * batches + i, rate) for i in range(batches)]
            self.rounds, self.cosine = number + 1, sum(cosines) / batches
            self.scene.job.progress(
                _STAGE, number + 1, self.most, "rounds", f"PL1 {self.smallest:.3f}"
            )
            if abs(self.cosine) > _ALIKE and self._worse > self.patience:
                break
        if math.isinf(self.smallest):
            self.trigger = self.changing.mask.detach(), self.changing.pattern.detach()

    def _rate(self, number: int) -> float:
        first, second = (30, 50) if self.small else (200, 500)
        return 0.5 if number < first else 0.1 if number < second else 0.05

    def _step(self, number: int, rate: float) -> float:
        """A batch; its mean cosine."""
        scene = self.scene
        scene.job.raise_if_canceled()
        mask, pattern = self.changing.mask, self.changing.pattern
        rows = scene.rows(self.batch, number, self.seed)
        phi = functional.normalize(scene.run(painted(scene.pixels[rows], mask, pattern))[1], dim=1)
        count = len(rows)
        cosine = ((phi @ phi.T).sum() - phi.square().sum()) / max(1, count * (count - 1))
        size = 3 * mask.sum()  # of all three channels
        self.changing.step(self.weight * size - cosine, rate)
        reached = float(cosine.detach())
        self._follow(reached, mask.detach(), pattern.detach())
        return reached

    def _follow(self, cosine: float, mask: torch.Tensor, pattern: torch.Tensor) -> None:
        """Remember the trigger if it is the best, and change the weight."""
        works, pl1 = abs(cosine) > _ALIKE, float(mask.mean())
        smaller = works and pl1 < self.smallest
        if smaller:
            self.smallest, self.trigger = pl1, (mask, pattern)
        if math.isfinite(self.smallest):
            self._worse = 0 if smaller else self._worse + 1
        self._waits = self._waits + 1 if works and self.weight < self.lowest else 0
        if self._waits > _AGAIN:
            self.weight = _FIRST
            self._works = self._fails = 0
        self._works, self._fails = (self._works + 1, 0) if works else (0, self._fails + 1)
        if self._works > _PATIENCE:
            self._works = 0
            self.weight *= _FACTOR if self.weight < _HIGHEST else 1
        elif self._fails > _PATIENCE:
            self._fails = 0
            self.weight /= _FACTOR if self.weight >= self.lowest else 1
