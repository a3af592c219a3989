"""From the norms of all pairs of classes to a map along which they are one-sided.

Some classes are easy to leave and some easy to reach: log norms less the medians of their rows and
columns leave R, how near target j is to source i beyond that. Classes may be alike by nature, an
automobile and a truck; but likeness is symmetric and an attack is directed, so that A = R − Rᵀ
cancels the one and keeps the other. An attack that sends every class to another makes A low along a
permutation. The best one, of all that leave no class where it is, is found exactly.

The best permutation of noise is low, too. Two nulls say how low, both made of the model's own |A|,
so that no shape of their distribution is assumed:

- directions: every pair of classes keeps |A|, and which of the two ways is the shorter is a coin.
  Exact if likeness is symmetric. For a map of k cycles p is not below about 2^(k − C): so often C
  coins agree with it, one cycle or another the other way round;
- places: |A| is dealt to the pairs of classes in random order as well. A few odd classes have many
  large entries, a permutation has one in every row and column.

A map stands out only if it does against both. The attack as published sends every class to the
next, though, and that is a map which is known beforehand:

- numbers: the classes are numbered in random order, and A is averaged from each to the next. The
  numbers of classes mean nothing to a clean network, and of (C − 1)! cycles only one is this one.

`BestMap.p` is twice the smaller of both tests. No null can judge one pair alone: the largest entry
of A is as large under all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdshift.jobs import SILENT, JobContext

Matrix = NDArray[np.float64]

_MAX_SWEEPS = 100  # over rows and columns; ten are usual
_SETTLED = 1e-9  # a sweep that moves no entry by more is the last
_DRAWS, _FEW_DRAWS = 999, 399
_MAX_CLASSES = 200  # with more, few draws: an assignment takes 50 ms at 1000
_FORBIDDEN = 1e6  # cost of leaving a class where it is, in deviations


def residual(norm: Matrix) -> Matrix:
    """R: log ‖s_ij‖ less the medians of its row and its column, alternating until nothing moves,
    float64 (C, C); NaN where a norm is not a positive number.
    """
    found = np.full(norm.shape, np.nan)
    known = np.isfinite(norm) & (norm > 0)
    found[known] = np.log(norm[known])
    for _ in range(_MAX_SWEEPS):
        rows = _medians(found)[:, None]
        found -= rows
        columns = _medians(found.T)
        found -= columns
        if max(np.abs(rows).max(initial=0), np.abs(columns).max(initial=0)) < _SETTLED:
            break
    return found


def _medians(values: Matrix) -> Matrix:
    """Of each row, float64; 0 for a row without a number."""
    some = ~np.isnan(values).all(1)
    found = np.zeros(len(values))
    found[some] = np.nanmedian(values[some], axis=1)
    return found


def one_sided(residuals: Matrix) -> tuple[Matrix, float]:
    """A = R − Rᵀ in robust deviations, float64 (C, C), NaN where R or Rᵀ is; and the deviation,
    1.4826·median|A|. All 0 if the deviation is.
    """
    found = residuals - residuals.T
    upper = np.abs(found[np.triu_indices(len(found), 1)])
    upper = upper[np.isfinite(upper)]
    deviation = 1.4826 * float(np.median(upper)) if len(upper) else 0.0
    return found / deviation if deviation > _SETTLED else found * 0.0, deviation


def suspicious_pairs(residuals: Matrix) -> Iterator[tuple[int, int]]:
    """All pairs (source, target) of which something is known, the most suspicious first: in turn
    the most one-sided that is left, by R − Rᵀ, and the nearest that is left, by R.
    """
    known, classes = np.isfinite(residuals), len(residuals)
    orders = [
        np.argsort(np.where(known, values, np.inf), axis=None, kind="stable")
        for values in (residuals - residuals.T, residuals)
    ]
    seen = ~known.ravel()
    for place in np.stack(orders, 1).ravel():
        if not seen[place]:
            seen[place] = True
            yield int(place) // classes, int(place) % classes


@dataclass(frozen=True)
class BestMap:
    """The permutation along which A is lowest, and the map of every class to the next.

    Attributes:
        best: target of each class, int64 (C,); −1 for one without a known pair.
        mean: of A along it, in deviations; NaN for fewer than three classes.
        p_directions, p_places: how often a null gives as low a mean; NaN likewise.
        mean_next: of A from each class to the next, in deviations; NaN likewise.
        p_next: how often random numbers of the classes give as low a mean; NaN likewise.
        draws: from each null.
    """

    best: NDArray[np.int64]
    mean: float
    p_directions: float
    p_places: float
    mean_next: float
    p_next: float
    draws: int

    @property
    def p_best(self) -> float:
        """Of the best map: by the null that explains it better."""
        return max(self.p_directions, self.p_places)

    @property
    def p(self) -> float:
        """How likely one of the two maps would be by chance."""
        return min(1.0, 2 * min(self.p_best, self.p_next))

    @property
    def targets(self) -> NDArray[np.int64]:
        """The map that is less likely by chance, int64 (C,); −1 as in ``best``."""
        if not self.p_next <= self.p_best:
            return self.best
        return np.where(self.best >= 0, (np.arange(len(self.best)) + 1) % len(self.best), -1)


def best_map(directed: Matrix, *, seed: int = 0, job: JobContext = SILENT) -> BestMap:
    """The best map of A (C, C), and how likely it would be by chance. A pair that is not known
    counts as 0, as if it were the same both ways.
    """
    targets = np.full(len(directed), -1, np.int64)
    known = np.flatnonzero(np.isfinite(directed).any(1))
    count = len(known)
    if count < 3:
        nan = math.nan
        return BestMap(targets, nan, nan, nan, nan, nan, 0)
    whole = np.nan_to_num(directed)
    matrix = whole[np.ix_(known, known)]
    columns, mean = _assigned(matrix)
    targets[known] = known[columns]
    number = np.arange(len(whole))
    upper = np.triu_indices(count, 1)
    sizes = np.abs(matrix[upper])
    mean_next = _to_next(whole, number)
    rng = np.random.default_rng(seed)
    draws = _DRAWS if count <= _MAX_CLASSES else _FEW_DRAWS
    as_low = np.zeros(3, np.int64)
    for draw in range(draws):
        job.progress("Comparing with random maps", draw, draws, "maps")
        for null, dealt in enumerate((sizes, rng.permutation(sizes))):
            made = np.zeros_like(matrix)
            made[upper] = dealt * rng.choice((-1.0, 1.0), len(dealt))
            as_low[null] += _assigned(made - made.T)[1] <= mean + _SETTLED
        number[known] = rng.permutation(known)
        as_low[2] += _to_next(whole, number) <= mean_next + _SETTLED
    directions, places, following = ((1 + as_low) / (1 + draws)).tolist()
    return BestMap(targets, mean, directions, places, mean_next, following, draws)


def _to_next(matrix: Matrix, number: NDArray[np.int64]) -> float:
    """The mean entry from every class to the next, in this order."""
    return float(matrix[number, np.roll(number, -1)].mean())


def _assigned(matrix: Matrix) -> tuple[NDArray[np.int64], float]:
    """The best target of each class, and the mean entry."""
    from scipy.optimize import linear_sum_assignment

    costs = matrix.copy()
    np.fill_diagonal(costs, _FORBIDDEN)
    rows, columns = linear_sum_assignment(costs)
    return columns.astype(np.int64), float(matrix[rows, columns].mean())
