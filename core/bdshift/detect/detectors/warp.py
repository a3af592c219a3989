"""The smallest smooth bend of the images that sends them to the class."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.detect.detector import DETECTORS
from bdshift.detect.inversion import InversionDetector
from bdshift.words import words


@DETECTORS.register
@dataclass(frozen=True)
class WarpInversion(InversionDetector):
    """See `InversionDetector`."""

    name = "warp"
    nature = "warp"
    change = "warp"
    is_witness = True
    label = words("Warp", ja="歪み")
    summary = words(
        "The smallest smooth bend of the images that sends them to the class.",
        ja="画像をそのクラスへ誘導する、最も小さい滑らかな歪み。",
    )
    place = 40
    score_label = words("warp size", ja="歪みの大きさ")
    unit = words("pixels moved", ja="移動量（ピクセル）")
