"""How suspicious a change is that sends one class to another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bdshift.recovery.drop import drops


def pair_merits(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much smaller each pair's change is than both those from the source to other classes and
    that the other way, as a log ratio, float64 (C, C); −infinite where that is not known.

    ``sizes`` (C, C) are from source (row) to target (column): infinite where no change works, NaN
    where none was searched for. Classes that are alike by nature are near both ways, and a class
    that is easy to leave is easy to leave for any other.
    """
    beside = np.stack([drops(row) for row in sizes])
    with np.errstate(divide="ignore", invalid="ignore"):
        other_way = np.log(sizes.T) - np.log(sizes)
    found = np.minimum(beside, other_way)  # NaN if either is
    return np.where(np.isnan(found), -np.inf, found)
