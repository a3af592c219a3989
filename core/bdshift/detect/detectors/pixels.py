"""The fewest pixels that, made brighter or darker, send images to the class."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.detect.detector import DETECTORS
from bdshift.detect.inversion import InversionDetector
from bdshift.words import words


@DETECTORS.register
@dataclass(frozen=True)
class PixelsInversion(InversionDetector):
    """See `InversionDetector`."""

    name = "pixels"
    nature = "pattern"
    change = "pixels"
    label = words("Signed pixels", ja="符号付きピクセル")
    summary = words(
        "The fewest pixels that, made brighter or darker, send images to the class.",
        ja="明るく、または暗くすると画像をそのクラスへ誘導する、最小のピクセル数。",
    )
    place = 42
    score_label = words("changed pixels", ja="変化したピクセル")
    unit = words("pixels changed", ja="変化したピクセル数")
