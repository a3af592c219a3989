"""How well numbers tell backdoored models from clean ones, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_DRAWS = 1000  # of the bootstrap

Numbers = NDArray[np.float64]
Grouped = Sequence[tuple[str, float]]
"""A number of each model, and what it shares with models that are no independent evidence."""


def auroc(positive: Numbers, negative: Numbers) -> float:
    """Share of all pairs of a positive and a negative value in which the positive one is larger;
    equal ones count half. NaN without a pair.
    """
    if not len(positive) or not len(negative):
        return float("nan")
    larger = (positive[:, None] > negative).mean()
    return float(larger + (positive[:, None] == negative).mean() / 2)


def found_at(alarms: float) -> Callable[[Numbers, Numbers], float]:
    """The share of positive values above the lowest threshold that at most a share ``alarms`` of
    the negative ones exceed. NaN without either.
    """

    def found(positive: Numbers, negative: Numbers) -> float:
        if not len(positive) or not len(negative):
            return float("nan")
        allowed = int(alarms * len(negative) + 1e-9)
        return float((positive > np.sort(negative)[len(negative) - 1 - allowed]).mean())

    return found


def interval(
    positive: Grouped, negative: Grouped, figure: Callable[[Numbers, Numbers], float] = auroc
) -> tuple[float, float]:
    """95% of ``figure`` from a bootstrap, which draws groups: the models of one are no independent
    evidence. Draws in which it is NaN are left out; NaN if there are fewer than two groups.
    """
    groups = sorted({group for group, _ in (*positive, *negative)})
    if len(groups) < 2:
        return float("nan"), float("nan")
    places = {group: place for place, group in enumerate(groups)}
    values = [np.array([value for _, value in some]) for some in (positive, negative)]
    owners = [np.array([places[group] for group, _ in some], int) for some in (positive, negative)]
    rng = np.random.default_rng(0)
    found = []
    for _ in range(_DRAWS):
        drawn = np.bincount(rng.integers(0, len(groups), len(groups)), minlength=len(groups))
        found.append(
            figure(*(np.repeat(v, drawn[own]) for v, own in zip(values, owners, strict=True)))
        )
    kept = [one for one in found if not np.isnan(one)]
    low, high = np.quantile(kept, (0.025, 0.975)) if kept else (np.nan, np.nan)
    return float(low), float(high)
