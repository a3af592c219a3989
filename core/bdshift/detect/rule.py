"""The base of all rules: from one value per class to the classes that stand out.

Each rule has a statistic, one number per class, which tables and reports show next to those of the
other rules, whichever rule decides.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bdshift.registry import Configured, Registry
from bdshift.words import words

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Rule(Configured, ABC):
    """A way to find outliers. ``values`` are one per class, smaller is more suspicious, none of
    them infinite.

    Attributes:
        column: what its statistic is called in a table.
        column_help: what its statistic is.
        form: format of its statistic.
    """

    column: ClassVar[str]
    column_help: ClassVar[str]
    form: ClassVar[str] = ".2f"

    @abstractmethod
    def statistic(self, values: Values) -> Values:
        """The statistic of each class among the others, float64 (n,); NaN where it is undefined."""

    @abstractmethod
    def flagged(self, values: Values) -> list[int]:
        """Positions of the classes that stand out."""

    @abstractmethod
    def line(self, values: Values) -> float:
        """The value below which the smallest is flagged; NaN if none could be."""

    @property
    @abstractmethod
    def line_label(self) -> str:
        """The threshold in a few characters, for a line in a plot."""

    def chance(self, values: Values) -> float:
        """How likely the decisive value would be if nothing were wrong; NaN if the rule does not
        say.
        """
        return math.nan

    def can_flag(self, values: Values) -> bool:
        """Whether the smallest value would be flagged if only it were small enough."""
        return len(values) >= 3


RULES: Registry[Rule] = Registry(words("rule", ja="規則"), "bdshift.detect.rules")
"""Every rule by its name."""


@dataclass(frozen=True)
class Judgment:
    """A rule's judgment of a detector's values.

    Attributes:
        rule: the one that decided.
        flagged: indices of the classes that stand out, by value, the smallest first.
        suspected: those of them that are below the median: a backdoor makes a value small.
        able: whether the rule could have flagged a class.
        usable: indices of the classes that could be judged.
        p: how likely the decisive value would be if nothing were wrong, by the rule that decided
            or, if it does not say, the first one that does: that of the last suspected class, or
            of the smallest value; NaN if none does.
        line: the value below which the smallest is flagged; NaN if none could be.
        statistics: of every class, float64 (C,), by the rule's name.
    """

    rule: Rule
    flagged: tuple[int, ...]
    suspected: tuple[int, ...]
    able: bool
    usable: tuple[int, ...]
    p: float
    line: float
    statistics: Mapping[str, Values]

    def __post_init__(self) -> None:
        for array in self.statistics.values():
            array.flags.writeable = False


def judge(values: Sequence[float] | Values, rule: Rule | None = None) -> Judgment:
    """Judge one value per class, smaller being more suspicious; infinite ones are left out.

    The default rule is the first of `RULES`.
    """
    chosen = rule if rule is not None else default_rule()
    everything = np.asarray(values, dtype=np.float64)
    usable = np.flatnonzero(np.isfinite(everything))
    kept = everything[usable]
    flagged = sorted(chosen.flagged(kept), key=lambda i: kept[i])
    every = [chosen if kind is type(chosen) else kind() for kind in RULES.kinds()]
    statistics = {}
    for one in every:
        whole = np.full(len(everything), np.nan)
        whole[usable] = one.statistic(kept)
        statistics[one.name] = whole
    middle = float(np.median(kept)) if len(kept) else math.nan
    chances = [one.chance(kept) for one in (chosen, *every)]
    return Judgment(
        rule=chosen,
        flagged=tuple(int(usable[i]) for i in flagged),
        suspected=tuple(int(usable[i]) for i in flagged if kept[i] < middle),
        able=chosen.can_flag(kept),
        usable=tuple(usable.tolist()),
        p=next((p for p in chances if not math.isnan(p)), math.nan),
        line=chosen.line(kept),
        statistics=statistics,
    )


def default_rule() -> Rule:
    """The first rule, with its defaults."""
    return RULES.kinds()[0]()


def z_scores(values: Values) -> Values:
    """Distance of each from the mean, in population standard deviations, as in the paper; infinite
    values are left out and, like equal ones, get NaN.
    """
    found = np.full(len(values), np.nan)
    usable = np.isfinite(values)
    if usable.sum() >= 2 and (sigma := spread(values[usable])):
        found[usable] = (values[usable] - values[usable].mean()) / sigma
    return found


def spread(values: Values) -> float:
    """Population σ; 0 if it is only rounding error."""
    return no_rounding(float(values.std()), values)


def no_rounding(deviation: float, values: Values) -> float:
    """A deviation of ``values``; 0 if it is only rounding error."""
    return deviation if deviation > 1e-12 * float(np.abs(values).max(initial=0)) else 0.0
