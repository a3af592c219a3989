"""How rare strengths are that hardly any clean model has."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from bdshift.verdict.clean_models import CleanStrengths
from bdshift.verdict.tail import COUNTED, fit_tail

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def test_the_tail_is_that_of_the_next_of_n_excesses() -> None:
    """Eighty models, twenty of them beyond 1, by 0.5 on average."""
    excesses = np.linspace(0.05, 0.95, 20)
    strengths = np.concatenate([np.linspace(-2, 1, 60), 1 + excesses])
    tail = fit_tail(strengths, np.ones(80))
    assert tail is not None
    assert (tail.start, tail.weight) == (1, 20)
    assert tail.share == pytest.approx(21 / 81)
    assert tail.p(1.0) == pytest.approx(21 / 81)
    assert tail.p(2.0) == pytest.approx(21 / 81 * (1 + 1 / 10) ** -20)
    assert tail.p(3.0) > 21 / 81 * math.exp(-2 / 0.5), "heavier than if the mean were known"


def test_relatives_are_one() -> None:
    strengths = np.linspace(0, 4, 40)
    once = fit_tail(strengths, np.ones(40))
    twice = fit_tail(np.repeat(strengths, 2), np.full(80, 0.5))
    assert once is not None
    assert twice is not None
    assert twice.p(5.0) == pytest.approx(once.p(5.0))


@pytest.mark.parametrize("strengths", [np.zeros(0), np.linspace(0, 1, 16), np.ones(60)])
def test_of_few_models_and_of_equal_ones_there_is_none(strengths: NDArray[np.float64]) -> None:
    weights = np.ones(len(strengths))
    assert fit_tail(strengths, weights) is None
    if len(strengths):
        found = CleanStrengths(strengths, weights).standing(2.0)
        assert found.p == found.least == pytest.approx(1 / (1 + len(strengths)))
        assert not found.estimated


def test_what_can_be_counted_is_and_p_never_rises_with_strength() -> None:
    rng = np.random.default_rng(0)
    clean = CleanStrengths(rng.exponential(1, 76), np.ones(76))
    one_of_all = 1 / 77
    standings = [clean.standing(x) for x in np.linspace(0, 40, 400)]
    p = [one.p for one in standings]
    assert all(first >= second for first, second in pairwise(p))
    assert p[-1] == one_of_all == standings[-1].least, "far beyond all of them"
    assert not standings[-1].estimated
    assert any(one.estimated for one in standings)
    for one in standings:
        assert one.estimated == (0 < one.count < COUNTED or (one.count == 0 and one.p > one_of_all))
        assert one.p <= 6 * one_of_all or one.count >= COUNTED
        if not one.estimated:
            assert one.p == pytest.approx((1 + one.count) / 77)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.exponential(1, (n, 10)).max(1),
        lambda rng, n: rng.normal(0, 1, (n, 10)).max(1),
        lambda rng, n: rng.uniform(0, 1, (n, 10)).max(1),
        lambda rng, n: rng.exponential(1, n) * rng.choice([0.5, 1.5], n),
    ],
    ids=["exponential", "normal", "bounded", "mixed"],
)
def test_clean_models_have_a_small_p_about_as_often_as_it_says(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    p = []
    for _ in range(150):
        clean = CleanStrengths(draw(rng, 76), np.ones(76))
        p += [clean.standing(float(one)).p for one in draw(rng, 40)]
    for level in (0.015, 0.02, 0.05, 0.1):
        assert np.mean(np.array(p) <= level) < 1.25 * level + 0.004
