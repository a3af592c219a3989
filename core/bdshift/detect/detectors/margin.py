"""The largest margin that a class reaches from noise, also without the class's own features.

A backdoor is a direction that raises one class's logit without limit. As in MM-BD, images climb the
margin; unlike there, all classes and starting points are in one graph, Adam needs few steps, half
of the noise is blurred (many triggers are smooth), every class starts from the same images, and
margins are compared by their ratios: what training multiplied all logits by does not matter.

Every image climbs twice. The second time it must not paint what the class's own images show (Class
Subspace Orthogonalization): its embedding may not lean toward μ_t, the class's mean embedding less
that of all images. A class that is merely easy to draw loses its margin then; a backdoor, whose
direction is another, keeps it. That margin is kept beside the plain one, and is not the score: in
clean networks it differs so much between classes, down to none at all, that it separates less.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bdshift.arrays import array, freeze
from bdshift.detect.budget import budget_setting, classes_to_try
from bdshift.detect.detector import DETECTORS, Evidence, Subject
from bdshift.detect.margins import MarginDetector, margins
from bdshift.detect.rule import Judgment, Rule
from bdshift.jobs import JobContext
from bdshift.recovery.scene import Scene, scene_of
from bdshift.setting import setting
from bdshift.words import words

_RATE = 0.05
_COARSE = 4  # pixels of the image to one of coarse noise
_SMALLEST = 1e-3  # logits: for a class whose margin stays negative, which has no logarithm

_STAGE = words("Largest margins", ja="最大マージン")


@dataclass(frozen=True)
class MarginRecord:
    """What it keeps, in logits; NaN for classes that were not looked at.

    Attributes:
        plain: the largest margin of each class, float64 (C,).
        own: the largest that was reached without the class's own features, float64 (C,).
        likeness: cos(φ, μ_t) at the largest plain margin, float64 (C,): how much it shows the
            class itself.
    """

    plain: NDArray[np.float64] = array("C")
    own: NDArray[np.float64] = array("C")
    likeness: NDArray[np.float64] = array("C")

    def __post_init__(self) -> None:
        freeze(self)


@DETECTORS.register
@dataclass(frozen=True)
class Margin(MarginDetector):
    """The largest margin of every class, in logits; judged by its logarithm."""

    name = "margin"
    label = words("Margin from noise", ja="ノイズからのマージン")
    summary = words("Largest margin of each class that is reached from noise; a backdoor makes it "
                    "larger. Beside it, the margin without what the class's own images show.",
                    ja="ノイズから到達できる各クラスの最大マージン。バックドアがあると大きくなります。"
                       "そのクラス自身の特徴を描かない場合の値も記録します。")  # fmt: skip
    place = 70
    record = MarginRecord
    nature = "margin"

    steps: int = setting(
        60, words("Steps", ja="ステップ数"), words("Of each image.", ja="画像ごと。"),
        low=1, high=10_000, source=words("300 in MM-BD.", ja="MM-BD では 300。"),
    )  # fmt: skip
    starts: int = setting(
        4, words("Starting points", ja="初期画像の数"),
        words("Noise images, and as many of coarse noise, for each class.",
              ja="クラスごとのノイズ画像の数。粗いノイズも同数使います。"),
        low=1, high=1000, source=words("30 in MM-BD.", ja="MM-BD では 30。"),
    )  # fmt: skip
    guard: float = setting(
        10.0, words("Weight of own features", ja="自身の特徴の重み"),
        words("A cosine of 1 with the class's own features costs this many typical margins.",
              ja="クラス自身の特徴とのコサインが 1 のとき、典型的なマージンの何倍を差し引くか。"),
        low=0, high=10_000, step=1, decimals=1,
    )  # fmt: skip

    budget: float = budget_setting()

    def judge(self, scores: NDArray[np.float64], rule: Rule) -> Judgment:
        """On the logarithms: margins are compared by their ratios."""
        found = super().judge(np.log(scores), rule)
        return replace(found, line=-float(np.exp(-found.line)))

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Climb for every class at once, or for a shortlist if the budget is too small."""
        started = time.perf_counter()
        with scene_of(
            subject.classifier, subject.collection, subject.embedding, 1, seed=subject.seed,
            device=subject.device, job=job,
        ) as scene:  # fmt: skip
            passes = 4 * self.starts * self.steps  # fine and coarse noise, plain and guarded
            tried = classes_to_try(subject, scene, passes, self.budget, job)
            targets = torch.tensor(tried, device=scene.device)
            climbs = _Climbs(self, scene, subject, targets)
            found = climbs.run()
        record = MarginRecord(*(_whole(one, targets, scene.classes) for one in found))
        return Evidence(
            self.spec, np.maximum(record.plain, _SMALLEST),
            seconds=time.perf_counter() - started, forwards=scene.forwards,
            backwards=scene.backwards, seed=subject.seed, record=record,
        )  # fmt: skip


class _Climbs:
    """All climbs: for each target, every starting point twice, the second time guarded."""

    def __init__(
        self, settings: Margin, scene: Scene, subject: Subject, targets: torch.Tensor
    ) -> None:
        self.settings, self.scene, self.targets = settings, scene, targets
        self.first = _noise(settings.starts, scene.pixels.shape[-1], subject.seed)
        self.each = 2 * len(self.first)
        self.own = _own_features(subject, scene.device)
        self.weight = settings.guard * _typical_margin(subject)

    def run(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The largest plain margin, the largest guarded one, and the likeness at the plain one, of
        each target, float32 (T,).
        """
        slots = torch.arange(len(self.targets) * self.each)
        parts = slots.split(self.scene.batch)
        done = [self._climb(part, number, len(parts)) for number, part in enumerate(parts)]
        margin, cosine = (
            torch.cat(one).view(len(self.targets), 2, -1) for one in zip(*done, strict=True)
        )
        plain, place = margin[:, 0].max(1)
        guarded = (margin[:, 1] - self.weight * cosine[:, 1].relu()).amax(1)
        likeness = cosine[:, 0].gather(1, place[:, None])[:, 0]
        return tuple(
            torch.where(plain.isfinite(), one, torch.nan) for one in (plain, guarded, likeness)
        )  # type: ignore[return-value]

    def _climb(
        self, slots: torch.Tensor, number: int, parts: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Some slots, all steps: margins and cosines at the end, −∞ for margins that are none."""
        scene, steps = self.scene, self.settings.steps
        targets = self.targets[(slots // self.each).to(scene.device)]
        place = slots % self.each
        images = self.first[place % len(self.first)].to(scene.device)
        weight = self.weight * (place >= len(self.first)).float().to(scene.device)
        slope, square = torch.zeros_like(images), torch.zeros_like(images)
        for step in range(steps):
            images.requires_grad_(True)
            margin, cosine = self._look(images, targets)
            value = (margin - weight * cosine.relu()).sum()
            (gradient,) = torch.autograd.grad(value, images)
            gradient = gradient.nan_to_num(0, 0, 0)
            slope = 0.9 * slope + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient.square()
            ahead = slope / (1 - 0.9 ** (step + 1))
            spread = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            images = (images.detach() + _RATE * ahead / spread).clamp(0, 1)
            scene.job.progress(_STAGE, number * steps + step + 1, parts * steps, "steps")
        with torch.no_grad():
            margin, cosine = self._look(images, targets)
        return margin.nan_to_num(-torch.inf, -torch.inf, -torch.inf), cosine.nan_to_num(0)

    def _look(
        self, images: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits, phi = self.scene.run(images)
        return margins(logits, targets), functional.cosine_similarity(phi, self.own[targets])


def _noise(count: int, side: int, seed: int) -> torch.Tensor:
    """``count`` images of uniform noise and as many of coarse noise, float32 (2·count, 3, s, s)."""
    rng = torch.Generator().manual_seed(seed)
    fine = torch.rand(count, 3, side, side, generator=rng)
    few = max(1, round(side / _COARSE))
    coarse = torch.rand(count, 3, few, few, generator=rng)
    stretched = functional.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)
    return torch.cat((fine, stretched.clamp(0, 1)))


def _own_features(subject: Subject, device: torch.device) -> torch.Tensor:
    """μ_t: mean embedding of each class's images less that of all, float32 (C, d); 0 for a class
    without images.
    """
    phi, labels = subject.embedding.phi, subject.embedding.labels
    middle = phi.mean(0, dtype=np.float64)
    found = np.zeros((len(subject.class_names), phi.shape[1]), dtype=np.float32)
    for one in np.unique(labels):
        found[one] = phi[labels == one].mean(0, dtype=np.float64) - middle
    return torch.from_numpy(found).to(device)


def _typical_margin(subject: Subject) -> float:
    """Median distance, in logits, between the largest and the second of the clean images."""
    two = np.partition(subject.embedding.logits, -2, axis=1)[:, -2:]
    return float(np.median(two[:, 1] - two[:, 0]))


def _whole(values: torch.Tensor, targets: torch.Tensor, classes: int) -> NDArray[np.float64]:
    """Values of the targets among all classes, float64 (C,)."""
    found = np.full(classes, np.nan)
    found[targets.cpu().numpy()] = values.cpu().numpy()
    return found
