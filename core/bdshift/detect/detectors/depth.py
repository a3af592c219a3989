"""The embedding shift asked at every depth: how short the path to each class is, layer by layer.

TAC (Eq. 3) is defined for every layer; so is the shift. A pattern that is spread over the whole
image moves the channels of the first layers much as a shift does, and what the last embedding hides
may be seen there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.detect.detector import DETECTORS, Detector, Evidence, Subject
from bdshift.errors import InputError
from bdshift.jobs import JobContext
from bdshift.recovery.channel_shift import channel_shifts
from bdshift.recovery.layers import layers_of
from bdshift.recovery.scene import scene_of
from bdshift.setting import setting
from bdshift.shift.solve import solve
from bdshift.words import words

_IMAGES = 120
_MOST_CLASSES = 32  # all are looked at up to here; beyond it, half of these and half of the rest


@dataclass(frozen=True)
class DepthRecord:
    """What it keeps.

    Attributes:
        layers: names of the L layers, from the first to the last.
        channels: how many channels each has.
        sizes: of the shift of each class at each layer, relative to the spread of the layer's
            maps, float64 (L, C); NaN for classes that were not looked at.
        target: the class with the lowest score.
        shift: its shift at each layer, in units of its maps, float64 (L, K); K is the largest
            number of channels, and the rest is NaN.
    """

    layers: tuple[str, ...]
    channels: tuple[int, ...]
    target: int
    sizes: NDArray[np.float64] = array("depths", "C")
    shift: NDArray[np.float64] = array("depths", "widest")

    def __post_init__(self) -> None:
        freeze(self)


@DETECTORS.register
@dataclass(frozen=True)
class Depth(Detector):
    """Geometric mean, over the layers, of each class's shift relative to the median class."""

    name = "depth"
    label = words("Shift at every depth", ja="各層でのシフト")
    summary = words("The smallest shift of the channels of earlier layers that sends clean images "
                    "to the class. It sees blended patterns that the last embedding hides.",
                    ja="手前の層のチャネルに加えるとクリーン画像をそのクラスへ誘導する、最小のシフト。"
                       "最後の埋め込みでは見えない、混ぜ込まれた模様が見えます。")  # fmt: skip
    place = 80
    record = DepthRecord
    score_label = words("Depth", ja="各層")
    score_help = words("Size of the shift at earlier layers, relative to the median class.",
                       ja="手前の層でのシフトの大きさ（中央値のクラスに対する比）。")  # fmt: skip
    unit = words("relative size of the shift", ja="シフトの相対的な大きさ")
    one = words(
        "At earlier layers, class {index} “{name}” is reached by an unusually small shift: "
        "{score:.2f} of the median class's; the next smallest is {other:.2f}{chance}.",
        ja="手前の層で、クラス {index}「{name}」に異常に小さいシフトで到達します：中央値のクラスの "
           "{score:.2f} 倍、他の最小は {other:.2f} 倍{chance}。",
    )  # fmt: skip
    many = words(
        "At earlier layers, {count:|class is|classes are} reached by unusually small shifts: "
        "{classes}; the smallest of the rest is {other:.2f} of the median class's{chance}.",
        ja="手前の層で、{count} クラスに異常に小さいシフトで到達します：{classes}。"
           "他の最小は中央値のクラスの {other:.2f} 倍{chance}。",
    )  # fmt: skip
    none = words(
        "At earlier layers, no class is reached by an unusually small shift: the smallest, "
        "{score:.2f} of the median class's to class {index} “{name}”, is in line with the "
        "others{chance}.",
        ja="手前の層で、異常に小さいシフトで到達できるクラスはありません。最小はクラス "
           "{index}「{name}」の、中央値のクラスの {score:.2f} 倍で、他のクラスの範囲内です"
           "{chance}。",
    )  # fmt: skip
    far = words(
        "At earlier layers, class {index} “{name}” is reached only by an unusually large shift: "
        "{score:.2f} times the median class's; the next largest is {other:.2f}. A backdoor makes "
        "a shift small.",
        ja="手前の層で、クラス {index}「{name}」へ到達するシフトは異常に大きい値です："
           "中央値のクラスの {score:.2f} 倍、他の最大は {other:.2f} 倍。"
           "バックドアはシフトを小さくします。",
    )  # fmt: skip

    alpha: float = setting(
        0.5, words("Loss threshold α", ja="損失しきい値 α"),
        words("Cross-entropy that a shift must reach. At the first layers, few shifts reach the "
              "0.1 of the embedding shift.",
              ja="シフトが達すべき交差エントロピー。最初の方の層では、"
                 "埋め込みシフトの 0.1 に達するシフトはわずかです。"),
        low=0, above=True, high=1_000_000, step=0.05, decimals=3,
    )  # fmt: skip
    steps: int = setting(
        60, words("Steps", ja="ステップ数"), words("Of each layer.", ja="層ごと。"),
        low=4, high=10_000,
    )  # fmt: skip

    def detect(self, subject: Subject, job: JobContext) -> Evidence:
        """Shift the channels of each layer, for all classes at once; of many classes, those that
        the embedding shift reaches soonest, and as many of the others to compare them with.
        """
        started = time.perf_counter()
        with scene_of(
            subject.classifier, subject.collection, subject.embedding, _IMAGES, seed=subject.seed,
            device=subject.device, job=job,
        ) as scene:  # fmt: skip
            layers = layers_of(scene)
            if not layers:
                raise InputError(
                    "the shift at every depth needs layers that return maps and that everything "
                    "passes through; this network has none before its embedding"
                )
            chosen = _shortlist(subject, job)
            targets = torch.from_numpy(chosen).to(scene.device)
            found = [
                channel_shifts(scene, layer, targets, alpha=self.alpha, steps=self.steps,
                               seed=subject.seed)
                for layer in layers
            ]  # fmt: skip
        sizes = np.full((len(layers), len(subject.class_names)), np.nan)
        sizes[:, chosen] = [size.cpu().numpy() for size, _ in found]
        relative = np.log(sizes) - np.nanmedian(np.log(sizes), axis=1, keepdims=True)
        scores = np.exp(relative.mean(0))
        lowest = int(np.nanargmin(scores[chosen]))
        record = DepthRecord(
            layers=tuple(layer.name for layer in layers),
            channels=tuple(layer.shape[0] for layer in layers),
            target=int(chosen[lowest]),
            sizes=sizes,
            shift=_side_by_side([shift[lowest].cpu().numpy() for _, shift in found]),
        )
        return Evidence(
            self.spec, scores, seconds=time.perf_counter() - started, forwards=scene.forwards,
            backwards=scene.backwards, seed=subject.seed, record=record,
        )  # fmt: skip


def _shortlist(subject: Subject, job: JobContext) -> NDArray[np.int64]:
    """The classes to look at, int64 (T,), in order."""
    classes = len(subject.class_names)
    if classes <= _MOST_CLASSES:
        return np.arange(classes)
    shifts = solve(subject.embedding.logits, subject.weight, device=subject.device, job=job)
    order = np.argsort(shifts.l2, kind="stable")
    half = _MOST_CLASSES // 2
    others = order[np.linspace(half, classes - 1, half).round().astype(np.int64)]
    return np.sort(np.concatenate((order[:half], others)))


def _side_by_side(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Rows of different lengths as one array, NaN after each row's end."""
    found = np.full((len(rows), max(map(len, rows))), np.nan)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found
