"""How far a class stands below the others, on a scale that no unit matters for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def drops(scores: NDArray[np.float64], *, low_is_suspicious: bool = True) -> NDArray[np.float64]:
    """log(median of the other classes / this class) for every class, float64 (C,); the other way
    round where high scores are the suspicious ones.

    Unlike a z-score, it is not divided by the spread of clean classes, which differs from model to
    model. It is infinite for a class that is reached while half of the others are not, −infinite
    for one that is not reached, and NaN where it says nothing: scores that are no numbers, are
    negative, or are all infinite, or fewer than two classes.
    """
    found = np.full(len(scores), np.nan)
    usable = scores >= 0  # not NaN, either
    for one in np.flatnonzero(usable):
        others = scores[usable & (np.arange(len(scores)) != one)]
        if np.isfinite(scores[one]) and len(others):
            found[one] = _log(_median(others)) - _log(scores[one])
        elif np.isfinite(others).any():
            found[one] = -np.inf
    return found if low_is_suspicious else -found


def _median(values: NDArray[np.float64]) -> float:
    """Of the two in the middle their mean, which is infinite if one is."""
    ordered = np.sort(values)
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    return float(middle.mean())


def _log(value: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(value))


def ranks(drops: NDArray[np.float64]) -> NDArray[np.int64]:
    """Place of every class, 1 for the largest drop, int64 (C,). Equal ones share the last of their
    places, so that a tie is no success; NaN comes last.
    """
    values = np.where(np.isnan(drops), -np.inf, drops)
    return (values[:, None] <= values).sum(1).astype(np.int64)
