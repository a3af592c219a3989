"""The fewest pixels that, covered with a pattern, send images of one class to another."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.detect.detector import DETECTORS
from bdshift.detect.pair_inversion import PairInversion
from bdshift.words import words


@DETECTORS.register
@dataclass(frozen=True)
class PairMaskInversion(PairInversion):
    """See `PairInversion`."""

    name = "pair-mask"
    nature = "patch"
    change = "mask"
    is_compared = True
    label = words("Mask for one pair of classes", ja="1 組のクラス間のマスク")
    summary = words(
        "The fewest pixels that, covered with a pattern, send images of one class to another.",
        ja="模様で覆うと、あるクラスの画像を別のクラスへ誘導する、最小のピクセル数。",
    )
    place = 36
