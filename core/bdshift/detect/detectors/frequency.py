"""The fewest and faintest waves that, added to images, send them to the class."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.detect.detector import DETECTORS
from bdshift.detect.inversion import InversionDetector
from bdshift.words import words


@DETECTORS.register
@dataclass(frozen=True)
class FrequencyInversion(InversionDetector):
    """See `InversionDetector`."""

    name = "frequency"
    nature = "pattern"
    change = "frequency"
    label = words("Sparse in frequency", ja="周波数で疎な変化")
    summary = words(
        "The fewest and faintest waves that, added to images, send them to the class.",
        ja="画像に加えるとそのクラスへ誘導する、最も少なく弱い波。",
    )
    place = 34
    score_label = words("wave size", ja="波の大きさ")
    unit = words("L1 of the DCT coefficients", ja="DCT 係数の L1")
