"""The paper's rule: |z| > β, z = (‖s‖ − mean)/σ with the population σ.

It has two faults, one with few classes C and one with many: |z| can never exceed √(C − 1), so that
nothing is ever flagged with five classes or fewer; and the more classes there are, the more of them
fall beyond 2 by chance (low side, normal norms: 18% of clean models with 10 classes, 95% with 100).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bdshift.detect.rule import RULES, Rule, Values, spread, z_scores
from bdshift.setting import setting
from bdshift.text import figure
from bdshift.words import words


@RULES.register
@dataclass(frozen=True)
class Paper(Rule):
    """Flags classes whose |z| exceeds ``beta``, on either side."""

    name = "paper"
    label = words("|z| > β", ja="|z| > β")
    summary = words("The paper's rule. With many classes it is often wrong by chance.",
                    ja="論文の規則。クラスが多いと偶然に誤ります。")  # fmt: skip
    place = 30
    column = "z"
    column_help = words("Distance from the mean of all classes, in standard deviations.",
                        ja="全クラス平均からの距離（標準偏差単位）。")  # fmt: skip

    beta: float = setting(
        2.0, words("Outlier threshold β", ja="外れ値しきい値 β"),
        words("Standard deviations from the mean beyond which a class is flagged.",
              ja="平均からこの標準偏差を超えたクラスを異常と判定します。"),
        low=0, above=True, high=1_000_000, step=0.1, decimals=2,
        source=words("2 in the paper.", ja="論文では 2。"),
    )  # fmt: skip

    def statistic(self, values: Values) -> Values:
        """Z of each."""
        return z_scores(values)

    def flagged(self, values: Values) -> list[int]:
        """Those beyond β, above or below."""
        return np.flatnonzero(np.abs(self.statistic(values)) > self.beta).tolist()

    def line(self, values: Values) -> float:
        """The value at z = −β."""
        sigma = spread(values) if len(values) >= 3 else 0.0
        return float(values.mean() - self.beta * sigma) if sigma else math.nan

    @property
    def line_label(self) -> str:
        """Z at the threshold."""
        return f"z = {figure(-self.beta, '.3g')}"

    def can_flag(self, values: Values) -> bool:
        """|z| cannot exceed √(n − 1)."""
        return len(values) >= 3 and self.beta < math.sqrt(len(values) - 1)
