"""Grubbs' one-sided test for a low outlier, repeated for several.

It asks how likely it is that the smallest of C normal values is that far below the others; p is
correct for every C. Several targets mask each other in that test, so it is repeated without the
classes already found (generalized ESD, Rosner 1983, low side), up to a fifth of the classes; all up
to the last significant one are flagged.

What it cannot know is whether the norms of clean classes would be normal. A class may be easy to
reach by nature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bdshift.detect.rule import RULES, Rule, Values, spread
from bdshift.setting import setting
from bdshift.words import words

_CLASSES_A_TARGET = 5  # one class in this many may be flagged


@RULES.register
@dataclass(frozen=True)
class Grubbs(Rule):
    """Flags classes whose p is below ``significance``."""

    name = "grubbs"
    label = words("Grubbs test", ja="Grubbs 検定")
    summary = words("One-sided Grubbs test, repeated for several targets.",
                    ja="片側 Grubbs 検定。複数の標的のために繰り返します。")  # fmt: skip
    place = 10
    column = words("p (Grubbs)", ja="p（Grubbs）")
    column_help = words("How likely the smallest of so many normal values lies this far below.",
                        ja="正規分布の値の最小がこれほど下に離れる確率。")  # fmt: skip
    form = ".2g"

    significance: float = setting(
        0.05, words("Significance", ja="有意水準"),
        words("Share of clean models that are flagged if their scores are normal.",
              ja="スコアが正規分布のとき、クリーンなモデルを異常と判定する割合。"),
        low=0, above=True, high=0.5, step=0.01, decimals=3,
    )  # fmt: skip

    def statistic(self, values: Values) -> Values:
        """The p-value of each as a low outlier."""
        return grubbs_p(values)

    def flagged(self, values: Values) -> list[int]:
        """All up to the last significant one."""
        order = np.argsort(values, kind="stable").tolist()
        return order[: len(self._tests(values)[0])]

    def chance(self, values: Values) -> float:
        """P of the last significant test, or of the first."""
        significant, first = self._tests(values)
        return significant[-1] if significant else first

    def _tests(self, values: Values) -> tuple[list[float], float]:
        """p-values of the tests up to the last significant one, and of the first."""
        order = np.argsort(values, kind="stable")
        found: list[float] = []
        for removed in range(max(1, len(order) // _CLASSES_A_TARGET)):
            p = grubbs_p(values[order[removed:]])
            if not len(p) or np.isnan(p[0]):
                break
            found.append(float(p[0]))
        last = max((i + 1 for i, p in enumerate(found) if p < self.significance), default=0)
        return found[:last], found[0] if found else math.nan

    def line(self, values: Values) -> float:
        """The value of the smallest that has p equal to the significance."""
        n = len(values)
        if n < 3 or not (sigma := spread(values)):
            return math.nan
        from scipy.special import stdtrit

        t2 = stdtrit(n - 2, self.significance / n) ** 2
        g = (n - 1) / np.sqrt(n) * np.sqrt(t2 / (n - 2 + t2))
        return float(values.mean() - g * sigma * np.sqrt(n / (n - 1)))

    @property
    def line_label(self) -> str:
        """P and its threshold."""
        return f"p = {self.significance:g}"


def grubbs_p(values: Values) -> Values:
    """One-sided Grubbs p-value of each value as a low outlier of its sample, float64 (n,).

    G = (mean − x)/s with the sample standard deviation s is turned into Student's t with n − 2
    degrees of freedom, and its tail multiplied by n (Bonferroni, exact for the smallest value when
    p ≤ ½). NaN for n < 3 or equal values.
    """
    n, ordered = len(values), np.sort(values)  # so that the order of the classes changes no bit
    sigma = spread(ordered) if n >= 3 else 0.0
    if sigma == 0:
        return np.full(n, np.nan)
    from scipy.special import stdtr

    g = (ordered.mean() - values) / (sigma * np.sqrt(n / (n - 1)))
    room = (n - 1) ** 2 - n * g**2  # 0 where all others are equal: then t is infinite
    with np.errstate(divide="ignore"):
        t = g * np.sqrt(n * (n - 2) / np.maximum(room, 0))
    p = np.minimum(1.0, n * stdtr(n - 2, -t))
    return np.where(g <= 0, 1.0, p)
