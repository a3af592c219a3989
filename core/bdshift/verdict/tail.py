"""How rare strengths are that hardly any clean model has: by how the strongest quarter of them
falls off, where too few are left to count.

Excesses over the quarter's start are taken to fall off exponentially, as the scale of each kind of
evidence takes them to (`bdshift.verdict.strength`). Of n that sum to S, the next one is beyond y
with probability (1 + y/S)^−n, if nothing is known of the mean beforehand: a heavier tail than that
of an exponential with the mean S/n, since n are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUNTED = 5.0
"""Models that have as much, from which on their share is counted, not estimated."""
_BEYOND = 0.25  # of the models, whose excesses are looked at


@dataclass(frozen=True)
class Tail:
    """The strongest quarter of clean models.

    Attributes:
        start: the strength that it is beyond.
        share: of a clean model's being in it, the next one counted in, as p is.
        weight: of its models, those of a cluster together as much as one.
        excess: their weighted sum.
    """

    start: float
    share: float
    weight: float
    excess: float

    def p(self, strength: float) -> float:
        """Probability that the next clean model is as strong, for strengths beyond ``start``."""
        beyond = 1 + max(0.0, strength - self.start) / self.excess
        return float(self.share * beyond**-self.weight)


def fit_tail(strengths: NDArray[np.float64], weights: NDArray[np.float64]) -> Tail | None:
    """That of models with these strengths and weights, (n,); None if it has too few."""
    if not len(strengths):
        return None
    order, total = np.argsort(strengths, kind="stable"), float(weights.sum())
    reached = np.cumsum(weights[order]) / total
    start = float(strengths[order][np.searchsorted(reached, 1 - _BEYOND - 1e-9)])
    above = strengths > start
    weight = float(weights[above].sum())
    excess = float((weights[above] * (strengths[above] - start)).sum())
    if weight < COUNTED or not excess > 0:
        return None
    return Tail(start, (1 + weight) / (1 + total), weight, excess)
