"""The faintest pattern that, added to images, sends them to the class."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.detect.detector import DETECTORS
from bdshift.detect.inversion import InversionDetector
from bdshift.words import words


@DETECTORS.register
@dataclass(frozen=True)
class AdditiveInversion(InversionDetector):
    """See `InversionDetector`."""

    name = "additive"
    nature = "pattern"
    change = "additive"
    is_compared = True
    label = words("Additive pattern", ja="加算パターン")
    summary = words(
        "The faintest pattern that, added to images, sends them to the class.",
        ja="画像に加えるとそのクラスへ誘導する、最も弱い模様。",
    )
    place = 32
    score_label = words("pattern size", ja="パターンの大きさ")
    unit = words("L2 of the change", ja="変化の L2")
