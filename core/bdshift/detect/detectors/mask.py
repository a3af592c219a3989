"""The fewest pixels that, covered with a pattern, send images to the class."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.detect.detector import DETECTORS
from bdshift.detect.inversion import InversionDetector
from bdshift.words import words


@DETECTORS.register
@dataclass(frozen=True)
class MaskInversion(InversionDetector):
    """See `InversionDetector`."""

    name = "mask"
    nature = "patch"
    change = "mask"
    is_compared = True
    label = words("Mask and pattern", ja="マスクとパターン")
    summary = words(
        "The fewest pixels that, covered with a pattern, send images to the class.",
        ja="模様で覆うと画像をそのクラスへ誘導する、最小のピクセル数。",
    )
    place = 30
    score_label = words("mask size", ja="マスクの大きさ")
    unit = words("pixels covered", ja="覆うピクセル数")
