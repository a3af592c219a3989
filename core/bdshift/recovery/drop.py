"""How far a class stands below the others, on a scale that no unit matters for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_FACTOR = 3.0
"""How many times smaller than other classes' a change of images must be to count as evidence."""
MIN_FACTOR_OF_PAIR = 5.0
"""`MIN_FACTOR` for one that sends images of a single class, for the other way, too. Of C classes
there are about C² pairs, and the largest of C² chance deviations, on a log scale, is about √2 times
the largest of C: 3 to the power of √2, rounded up.
"""


def typical(sizes: NDArray[np.float64]) -> float:
    """Median of the sizes of other classes' changes. One that is not reached (infinite) counts as
    the largest that is: its true size is no smaller, so what is compared with this is not
    overstated. Infinite if none is reached, NaN of none at all.
    """
    reached = sizes[np.isfinite(sizes)]
    if not len(reached):
        return np.inf if len(sizes) else np.nan
    return float(np.median(np.minimum(sizes, reached.max())))


def drop(size: float, others: NDArray[np.float64]) -> float:
    """log(median of the other classes' sizes / this class's), of sizes from 0.

    Unlike a z-score, it is not divided by the spread of clean classes, which differs from model to
    model. The median is `typical`. It is infinite for the only class that is reached, −infinite for
    one that is not, and NaN if none is, or there is no other.
    """
    middle = typical(others)
    if np.isinf(size):
        return -np.inf if np.isfinite(middle) else np.nan
    return _log(middle) - _log(size)


def drops(scores: NDArray[np.float64], *, low_is_suspicious: bool = True) -> NDArray[np.float64]:
    """The `drop` of every class, float64 (C,); the other way round where high scores are the
    suspicious ones. NaN for scores that are no numbers or are negative.
    """
    found = np.full(len(scores), np.nan)
    usable = scores >= 0  # not NaN, either
    for one in np.flatnonzero(usable):
        found[one] = drop(scores[one], scores[usable & (np.arange(len(scores)) != one)])
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
