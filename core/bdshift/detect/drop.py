"""How far a class stands below the others, on a scale that no unit matters for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def drops(scores: NDArray[np.float64], *, low_is_suspicious: bool = True) -> NDArray[np.float64]:
    """log(median of the other classes / this class) for every class, float64 (C,); the other way
    round where high scores are the suspicious ones.

    Unlike a z-score, it is not divided by the spread of clean classes, which differs from model to
    model. A class that is not reached counts, among the others, as the largest of them that is: its
    true score is no smaller, so the drop is not overstated. It is infinite for the only class that
    is reached, −infinite for one that is not, and NaN where it says nothing: scores that are no
    numbers, are negative, or are all infinite, or fewer than two classes.
    """
    found = np.full(len(scores), np.nan)
    usable = scores >= 0  # not NaN, either
    if usable.sum() < 2 or not np.isfinite(scores[usable]).any():
        return found if low_is_suspicious else -found
    for one in np.flatnonzero(usable):
        others = scores[usable & (np.arange(len(scores)) != one)]
        reached = others[np.isfinite(others)]
        if np.isinf(scores[one]):
            found[one] = -np.inf
        elif not len(reached):
            found[one] = np.inf
        else:
            middle = float(np.median(np.minimum(others, reached.max())))
            found[one] = _log(middle) - _log(scores[one])
    return found if low_is_suspicious else -found


def _log(value: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(value))


def ranks(drops: NDArray[np.float64]) -> NDArray[np.int64]:
    """Place of every class, 1 for the largest drop, int64 (C,). Equal ones share the last of their
    places, so that a tie is no success; NaN comes last.
    """
    values = np.where(np.isnan(drops), -np.inf, drops)
    return (values[:, None] <= values).sum(1).astype(np.int64)
