"""How strong evidence of one kind is, in a unit that all kinds share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Drops = NDArray[np.float64]
"""Drops (`bdshift.recovery.drop`) of classes or models."""

_MOST_DROP = math.log(20)
"""A class that needs less than a twentieth of the others' says no more: how much less then depends
on where the searches for the others ended.
"""
_FREE_CLASSES = 10  # up to here, more classes do not raise the bar
_START = 0.75  # share of the clean models that stay below a scale's start
_LEAST_SCALE = 0.05  # a kind that no clean model has anything of would count without a limit
_DECIMALS = 4  # of drops: a table is text, and what ties must tie with what was read from it


@dataclass(frozen=True)
class StrengthScale:
    """What the largest drops of clean models are like, for one kind of evidence.

    Attributes:
        detector: what they were measured with, as text.
        start: a drop (`bdshift.recovery.drop`) that three quarters of the clean models stay below.
        scale: by how much the others exceed it, on average.
        models: number of clean models.
    """

    detector: str
    start: float
    scale: float
    models: int

    def strength(self, drop: Drops, tried: int) -> Drops:
        """Strength of `capped` drops, if ``tried`` classes were compared.

        Above ``start`` it is how many times the usual excess a drop is. If the excess of clean
        models falls off exponentially, about 0.25·e^−x of them are stronger than x, and the largest
        of k times as many classes is stronger by ln k. That much is taken off beyond ten classes,
        so that the classes of a model do not raise alarms by their number.
        """
        return (drop - self.start) / self.scale - math.log(max(1.0, tried / _FREE_CLASSES))


def capped(drops: Drops) -> Drops:
    """Drops as they are weighed: none below 0, as for classes of which nothing is known, and none
    above a limit; rounded to four decimals.
    """
    return np.clip(np.nan_to_num(drops, nan=0.0), 0.0, _MOST_DROP).round(_DECIMALS)


def fit_scale(detector: str, largest: Drops, weights: Drops) -> StrengthScale:
    """The scale from the largest drops of clean models, (n,), each with a weight."""
    order = np.argsort(largest, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    start = float(largest[order][np.searchsorted(share, _START - 1e-9)])
    above = largest > start
    excess = np.average(largest[above] - start, weights=weights[above]) if above.any() else 0.0
    return StrengthScale(detector, start, max(float(excess), _LEAST_SCALE), len(largest))
