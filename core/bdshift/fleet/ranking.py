"""What many results mean together: which models to look at first, and how surely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bdshift.fleet.task import Result

_ORDER = {"backdoored": 0, "inconclusive": 1, "nothing-unusual": 2}


def q_values(p: Sequence[float]) -> NDArray[np.float64]:
    """Benjamini and Hochberg's q of each p, float64 (n,): the share of false alarms to expect among
    all models whose q is no larger. NaN where p is; those do not count.
    """
    values = np.asarray(p, dtype=np.float64)
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return found
    order = known[np.argsort(values[known], kind="stable")]
    scaled = values[order] * len(order) / np.arange(1, len(order) + 1)
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1)
    return found


def first_to_look_at(results: Sequence[Result]) -> list[int]:
    """Positions of the results, the most suspicious first: suspected models by p and strength, then
    those that nothing is concluded of, then the others, and what could not be audited last.
    """

    def place(at: int) -> tuple[float, ...]:
        one = results[at]
        level = 3 if one.level is None else _ORDER[one.level]
        p = 2.0 if np.isnan(one.p) else one.p
        strength = 0.0 if np.isnan(one.strength) else one.strength
        return level, p, -strength, at

    return sorted(range(len(results)), key=place)
