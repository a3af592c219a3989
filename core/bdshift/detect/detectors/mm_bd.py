"""MM-BD (Wang et al., 2024) as its authors run it: the largest margin from uniform noise.

For one class after the other, 30 noise images climb the margin, the class's logit minus the largest
other. A class with a backdoor reaches an unusually large one. Known flaws, kept: gradients stop
where a pixel has left [0, 1], as pixels are clipped in the forward pass only; a margin is in
logits, so its spread depends on how the network was trained; only the largest margin is ever
judged; the gamma distribution has three free parameters, for C − 1 values.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.detect.detector import DETECTORS, Evidence, Subject
from bdshift.detect.margins import MarginDetector, margins
from bdshift.detect.published import THEIR_PROGRAM
from bdshift.jobs import JobContext
from bdshift.recovery.scene import Scene, scene_of
from bdshift.setting import setting
from bdshift.words import Sentence, words

_RATE = 0.01
_STILL = 1e-5  # relative change of the loss at which it stops
_LEVEL = 0.05
_FEWEST = 3  # other classes, for a distribution with three parameters

_STAGE = words("MM-BD: class {number} of {classes}",
               ja="MM-BD：{classes} クラス中 {number} クラス目")  # fmt: skip


@dataclass(frozen=True)
class MmBdRecord:
    """What it keeps.

    Attributes:
        steps: of each class until it stopped, int64 (C,).
        p: 1 − F(largest margin)^C, where F is the gamma distribution fitted to the other margins;
            NaN if it cannot be fitted.
        suspect: the class that the paper would name; −1 if p is above 0.05 or unknown.
    """

    steps: NDArray[np.int64] = array("C", dtype=np.int64)
    p: float = math.nan
    suspect: int = -1

    def __post_init__(self) -> None:
        freeze(self)


@DETECTORS.register
@dataclass(frozen=True)
class MmBd(MarginDetector):
    """The largest margin of every class, in logits."""

    name = "mm-bd"
    label = words("MM-BD, as published", ja="MM-BD（論文どおり）")
    summary = words("Largest margin of each class that is reached from noise, one class after the "
                    "other, as published in 2024. For comparison.",
                    ja="ノイズから到達できる各クラスの最大マージンを、2024 年の論文どおり 1 クラス"
                       "ずつ求めます。比較用です。")  # fmt: skip
    place = 120
    record = MmBdRecord
    nature = "margin"

    steps: int = setting(
        300, words("Steps", ja="ステップ数"),
        words("At most, for each class.", ja="クラスごとの上限。"),
        low=1, high=100_000, source=THEIR_PROGRAM,
    )  # fmt: skip
    images: int = setting(
        30, words("Noise images", ja="ノイズ画像数"), words("For each class.", ja="クラスごと。"),
        low=1, high=10_000, source=THEIR_PROGRAM,
    )  # fmt: skip

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Climb for every class."""
        started = time.perf_counter()
        with scene_of(
            subject.classifier, subject.collection, subject.embedding, 1, seed=subject.seed,
            device=subject.device, job=job,
        ) as scene:  # fmt: skip
            found = [self._climb(scene, one, subject.seed) for one in range(scene.classes)]
        scores = np.array([largest for largest, _ in found])
        p = p_of_largest(scores)
        suspect = int(np.nanargmax(scores)) if p <= _LEVEL else -1
        return Evidence(
            self.spec,
            scores,
            seconds=time.perf_counter() - started,
            forwards=scene.forwards,
            backwards=scene.backwards,
            seed=subject.seed,
            record=MmBdRecord(np.array([steps for _, steps in found]), p, suspect),
        )

    def _climb(self, scene: Scene, target: int, seed: int) -> tuple[float, int]:
        """The largest margin of a class, and the steps that it took."""
        rng = torch.Generator().manual_seed(seed * 100_003 + target)
        images = torch.rand(self.images, *scene.pixels.shape[1:], generator=rng).to(scene.device)
        wanted = torch.full((self.images,), target, device=scene.device)
        stage = Sentence(_STAGE, {"number": target + 1, "classes": scene.classes})
        last = 1000.0
        for step in range(self.steps):
            images.requires_grad_(True)
            logits, _ = scene.run(images.clamp(0, 1))
            reached = margins(logits, wanted)
            loss = -float(reached.detach().sum())
            (slope,) = torch.autograd.grad(reached.sum(), images)
            images = images.detach() + _RATE * slope
            scene.job.progress(stage, step + 1, self.steps, "steps")
            if abs(last - loss) < _STILL * abs(last):
                break
            last = loss
        return float(reached.detach().max()), step + 1


def p_of_largest(scores: NDArray[np.float64]) -> float:
    """1 − F(largest)^C, where F is the gamma distribution of three parameters that fits the other
    scores best; NaN for fewer than four classes, or if it cannot be fitted.
    """
    from scipy import stats  # slow to import

    known = np.sort(scores[np.isfinite(scores)])
    if len(known) <= _FEWEST or known[0] == known[-2]:
        return math.nan
    try:
        fitted = stats.gamma(*stats.gamma.fit(known[:-1]))
        return float(1 - fitted.cdf(known[-1]) ** len(known))
    except (ValueError, RuntimeError):  # scipy's FitError among them
        return math.nan
