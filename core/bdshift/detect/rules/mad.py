"""The distance below the median in median absolute deviations, as in Neural Cleanse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bdshift.detect.rule import RULES, Rule, Values, no_rounding
from bdshift.setting import setting
from bdshift.text import figure
from bdshift.words import words


@RULES.register
@dataclass(frozen=True)
class Mad(Rule):
    """Flags classes whose (x − median)/(1.4826·MAD) is below −``deviations``."""

    name = "mad"
    label = words("MAD score", ja="MAD スコア")
    summary = words("Distance from the median, in median absolute deviations.",
                    ja="中央値からの距離（中央絶対偏差単位）。")  # fmt: skip
    place = 20
    column = "MAD"
    column_help = words("Distance from the median of all classes, in median absolute deviations.",
                        ja="全クラスの中央値からの距離（中央絶対偏差単位）。")  # fmt: skip

    deviations: float = setting(
        3.5, words("Deviations", ja="偏差の数"),
        words("How far below the median a class is flagged.",
              ja="中央値よりこの数だけ下のクラスを異常と判定します。"),
        low=0, above=True, high=1_000_000, step=0.5, decimals=2,
    )  # fmt: skip

    def statistic(self, values: Values) -> Values:
        """The score of each; NaN where more than half of the values are equal."""
        deviation = _deviation(values)
        if not deviation:
            return np.full(len(values), np.nan)
        found: Values = (values - np.median(values)) / deviation
        return found

    def flagged(self, values: Values) -> list[int]:
        """Those far below the median."""
        return np.flatnonzero(self.statistic(values) < -self.deviations).tolist()

    def line(self, values: Values) -> float:
        """The value at the threshold."""
        deviation = _deviation(values)
        if len(values) < 3 or not deviation:
            return math.nan
        return float(np.median(values) - self.deviations * deviation)

    @property
    def line_label(self) -> str:
        """The score at the threshold."""
        return f"MAD = {figure(-self.deviations, '.3g')}"

    def can_flag(self, values: Values) -> bool:
        """Not where more than half of the values are equal."""
        return len(values) >= 3 and _deviation(values) > 0


def _deviation(values: Values) -> float:
    """1.4826·MAD: σ, if the values are normal; 0 if it is only rounding error."""
    if len(values) < 2:
        return 0.0
    median = np.median(values)
    return 1.4826 * no_rounding(float(np.median(np.abs(values - median))), values)
