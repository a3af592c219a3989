"""Neural Cleanse (Wang et al., 2019) as its authors run it: the yardstick, flaws included.

For one class after the other, one mask and one pattern from one random starting point; a step is
an average over many batches, and after every few steps the weight of the mask's size is changed.
Known flaws, kept: one starting point, so that it depends on the seed; images of the class itself
count as successes; a class that never reached the threshold gets its last mask, however large; an
anomaly index that is 2 by chance in many clean models, and that has no meaning for few classes or
where more than half of the sizes are equal. `bdshift.recovery` is what we would do instead.
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
from bdshift.detect.tanh_mask import TanhMask, images_that_fit, painted
from bdshift.jobs import JobContext
from bdshift.recovery.scene import Scene, scene_of
from bdshift.setting import setting
from bdshift.words import Sentence, words

_RATE = 0.1
_FIRST_COST = 1e-3  # weight of the mask's size once the pattern works
_LARGEST_COST = 1e30  # of float32, where every image is sent to the class anyway
_SUCCESS = 0.99
_PATIENCE = 5  # steps until the cost changes
_STOP_PATIENCE = 5 * _PATIENCE  # steps without a smaller mask
_FLAGGED = 2.0  # anomaly index

_STAGE = words("Neural Cleanse: class {number} of {classes}",
               ja="Neural Cleanse：{classes} クラス中 {number} クラス目")  # fmt: skip


@dataclass(frozen=True)
class CleanseRecord:
    """What it keeps.

    Attributes:
        index: the published anomaly index of each class, |L1 − median|/(1.4826·MAD), float64 (C,);
            NaN where the MAD is 0.
        steps: of each class until it stopped, int64 (C,).
        flagged: classes that the paper would flag: not above the median, with an index above 2.
        unreached: classes whose trigger never reached the success of 0.99.
    """

    index: NDArray[np.float64] = array("C")
    steps: NDArray[np.int64] = array("C", dtype=np.int64)
    flagged: tuple[int, ...] = ()
    unreached: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        freeze(self)


@dataclass(frozen=True)
class Inverted:
    """What was found for one class.

    Attributes:
        mask, pattern: float32 (1, s, s) and (3, s, s).
        sizes: of the mask in every step until it stopped, in pixels, float64 (steps,); infinite
            where the success was not 0.99.
    """

    mask: torch.Tensor
    pattern: torch.Tensor
    sizes: NDArray[np.float64]

    @property
    def reached(self) -> bool:
        """Whether it reached the success of 0.99."""
        return bool(np.isfinite(self.sizes).any())

    @property
    def l1(self) -> float:
        """Size of the mask in pixels."""
        return float(self.mask.sum())


@DETECTORS.register
@dataclass(frozen=True)
class NeuralCleanse(Detector):
    """L1 of the smallest mask found for every class."""

    name = "neural-cleanse"
    label = words("Neural Cleanse, as published", ja="Neural Cleanse（論文どおり）")
    summary = words("Smallest mask and pattern that send all images to the class, one class after "
                    "the other, as published in 2019. Slow; for comparison.",
                    ja="全画像をそのクラスへ誘導する最小のマスクとパターンを、2019 年の論文どおり "
                       "1 クラスずつ求めます。低速で、比較用です。")  # fmt: skip
    place = 110
    record = CleanseRecord
    nature = "patch"
    score_label = "L1"
    score_help = words("Size of the mask that Neural Cleanse finds for each class.",
                       ja="Neural Cleanse が各クラスで見つけたマスクの大きさ。")  # fmt: skip
    unit = words("pixels of the mask", ja="マスクのピクセル数")
    short = words("“{name}” needs a mask {less:.0%} smaller than any other class",
                  ja="「{name}」のマスクは、他のどのクラスより {less:.0%} 小さい")  # fmt: skip
    one = words(
        "Neural Cleanse needs an unusually small mask for class {index} “{name}”: {score:#.3g} "
        "pixels; the next smallest is {other:#.3g}{chance}.",
        ja="Neural Cleanse では、クラス {index}「{name}」のマスクが異常に小さくなります："
           "{score:#.3g} ピクセル、他の最小は {other:#.3g}{chance}。",
    )  # fmt: skip
    many = words(
        "Neural Cleanse needs unusually small masks for {count:|class|classes}: {classes}; the "
        "smallest of the rest is {other:#.3g} pixels{chance}.",
        ja="Neural Cleanse では、{count} クラスのマスクが異常に小さくなります：{classes}。"
           "他の最小は {other:#.3g} ピクセル{chance}。",
    )  # fmt: skip
    none = words(
        "Neural Cleanse finds no unusually small mask: the smallest, {score:#.3g} pixels for class "
        "{index} “{name}”, is in line with the others{chance}.",
        ja="Neural Cleanse では、異常に小さいマスクはありません。最小はクラス {index}「{name}」の "
           "{score:#.3g} ピクセルで、他のクラスの範囲内です{chance}。",
    )  # fmt: skip
    far = words(
        "Neural Cleanse needs an unusually large mask for class {index} “{name}”: {score:#.3g} "
        "pixels; the next largest is {other:#.3g}. A backdoor makes masks smaller.",
        ja="Neural Cleanse では、クラス {index}「{name}」のマスクが異常に大きくなります："
           "{score:#.3g} ピクセル、次に大きい値は {other:#.3g}。"
           "バックドアがあるとマスクは小さくなります。",
    )  # fmt: skip

    steps: int = setting(
        1000, words("Steps", ja="ステップ数"),
        words("At most, for each class; it stops when the mask no longer gets smaller.",
              ja="クラスごとの上限。マスクが小さくならなくなると終わります。"),
        low=1, high=100_000, source=THEIR_PROGRAM,
    )  # fmt: skip
    batches: int = setting(
        31, words("Batches", ja="バッチ数"), words("In a step.", ja="1 ステップ当たり。"),
        low=1, high=10_000,
        source=words("1000 images in batches of 32.", ja="32 枚ずつ 1000 枚。"),
    )  # fmt: skip
    batch: int = batch_setting(32)
    multiplier: float = setting(
        2.0, words("Cost factor", ja="コストの倍率"),
        words("By which the weight of the size rises; it falls by this to the power of 1.5.",
              ja="大きさの重みを上げる倍率。下げるときは、この 1.5 乗で割ります。"),
        low=1, above=True, high=10, step=0.1, decimals=2,
        source=words("The authors' example; 1.5 in their class and in many copies.",
                     ja="著者の使用例の値。著者のクラスや多くの派生実装では 1.5。"),
    )  # fmt: skip
    images: int = images_setting()

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Invert every class."""
        started = time.perf_counter()
        side = 0 if subject.classifier is None else subject.classifier.preprocessing.size
        with scene_of(
            subject.classifier, subject.collection, subject.embedding,
            images_that_fit(self.images, max(1, side)), seed=subject.seed, device=subject.device,
            job=job,
        ) as scene:  # fmt: skip
            found = [self.invert(scene, one, subject.seed) for one in range(scene.classes)]
        scores = np.array([one.l1 for one in found])
        index = anomaly_index(scores)
        return Evidence(
            self.spec, scores, seconds=time.perf_counter() - started, forwards=scene.forwards,
            backwards=scene.backwards, seed=subject.seed,
            record=CleanseRecord(
                index, np.array([len(one.sizes) for one in found]), flagged_by(scores, index),
                tuple(target for target, one in enumerate(found) if not one.reached),
            ),
        )  # fmt: skip

    def invert(self, scene: Scene, target: int, seed: int) -> Inverted:
        """The smallest trigger for the class ``target``."""
        seed = seed * 100_003 + target
        rng = torch.Generator().manual_seed(seed)
        changing = TanhMask(scene.pixels.shape[-1], rng, scene.device)
        control = _Cost(self.multiplier)
        best, sizes, worse = None, [math.inf], 0
        stage = Sentence(_STAGE, {"number": target + 1, "classes": scene.classes})
        for step in range(self.steps):
            success, size = self._step(scene, changing, control.cost, target, step, seed)
            sizes.append(size if success >= _SUCCESS else math.inf)
            smaller = sizes[-1] < min(sizes[:-1])
            if smaller:
                best = changing.mask.detach(), changing.pattern.detach()
            scene.job.progress(stage, step + 1, self.steps, "steps", f"L1 {size:.1f}")
            worse = 0 if smaller or best is None else worse + 1
            if control.both_ways and worse >= _STOP_PATIENCE:
                break
            control.follow(success)
        mask, pattern = best or (changing.mask.detach(), changing.pattern.detach())
        return Inverted(mask, pattern, np.array(sizes[1:]))

    def _step(
        self,
        scene: Scene,
        changing: TanhMask,
        cost: float,
        target: int,
        step: int,
        seed: int,
    ) -> tuple[float, float]:
        """All batches of a step; mean success and mean size during it."""
        hits, sizes, seen = 0.0, 0.0, 0
        for number in range(self.batches):
            scene.job.raise_if_canceled()
            rows = scene.rows(self.batch, step * self.batches + number, seed)
            mask = changing.mask
            logits, _ = scene.run(painted(scene.pixels[rows], mask, changing.pattern))
            wanted = torch.full((len(rows),), target, device=scene.device)
            size = mask.sum()
            loss = functional.cross_entropy(logits, wanted) + cost * size
            changing.step(loss, _RATE)
            hits += int((logits.argmax(1) == target).sum())
            sizes += float(size.detach())
            seen += len(rows)
        return hits / seen, sizes / self.batches


class _Cost:
    """The weight of the mask's size: 0 until the pattern works, then up while it works."""

    def __init__(self, multiplier: float) -> None:
        self.cost = 0.0
        self._up, self._down = multiplier, multiplier**1.5
        self._works = self._fails = self._waits = 0
        self._was_up = self._was_down = False

    @property
    def both_ways(self) -> bool:
        """Whether it has been changed in both directions."""
        return self._was_up and self._was_down

    def follow(self, success: float) -> None:
        """After a step."""
        works = success >= _SUCCESS
        self._waits = self._waits + 1 if works and self.cost == 0 else 0
        if self._waits >= _PATIENCE:
            self.cost = _FIRST_COST
            self._works = self._fails = 0
            self._was_up = self._was_down = False
        self._works, self._fails = (self._works + 1, 0) if works else (0, self._fails + 1)
        if self._works >= _PATIENCE:
            self._works, self._was_up = 0, True
            self.cost = min(_LARGEST_COST, self.cost * self._up)
        elif self._fails >= _PATIENCE:
            self._fails, self._was_down = 0, True
            self.cost /= self._down


def anomaly_index(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """|size − median|/(1.4826·MAD) of each class, float64 (C,), among those whose size is a number;
    NaN for the others, or for all if the MAD is 0.
    """
    if not np.isfinite(sizes).any():
        return np.full(len(sizes), np.nan)
    away = np.abs(sizes - np.nanmedian(sizes))
    spread = 1.4826 * np.nanmedian(away)
    return away / spread if spread > 0 else np.full(len(sizes), np.nan)


def flagged_by(sizes: NDArray[np.float64], index: NDArray[np.float64]) -> tuple[int, ...]:
    """Classes not above the median whose index is above 2, the smallest first."""
    low = sizes <= np.nanmedian(sizes) if np.isfinite(sizes).any() else np.zeros(len(sizes), bool)
    chosen = np.flatnonzero(low & (index > _FLAGGED))
    return tuple(chosen[np.argsort(sizes[chosen], kind="stable")].tolist())
