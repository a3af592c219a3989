"""What is computed cleverly, beside the same by its definition, one number at a time."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from bdshift.fleet.kin import NEAR, families
from bdshift.fleet.ranking import q_values
from bdshift.recovery.drop import drops
from bdshift.verdict.clean_models import CleanStrengths, cluster_weights

_P = st.one_of(st.floats(0, 1), st.just(math.nan))
_SIZES = st.one_of(st.floats(0.01, 1e6), st.just(math.inf), st.just(math.nan))


@settings(deadline=None)
@given(st.lists(_P, max_size=40))
def test_q_is_that_of_scipy(p: list[float]) -> None:
    found = q_values(p)
    known = [one for one in p if not math.isnan(one)]
    assert np.isnan(found).sum() == len(p) - len(known)
    if known:
        assert np.allclose(found[~np.isnan(found)], false_discovery_control(known))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-2, 2), st.sampled_from("abc")), min_size=1, max_size=12),
    st.floats(-2, 2),
)
def test_p_is_counted(clean: list[tuple[float, str]], strength: float) -> None:
    """Each cluster is one model, of which each member is a part."""
    clusters = [name for _, name in clean]
    sizes = Counter(clusters)
    above = [name for value, name in clean if value >= strength]
    share = sum((Fraction(1, sizes[name]) for name in above), Fraction(0))
    expected = (1 + share) / (1 + len(sizes))
    values = np.array([value for value, _ in clean])
    found = CleanStrengths(values, cluster_weights(clusters)).standing(strength)
    assert math.isclose(found.p, expected)
    assert math.isclose(found.least, Fraction(1, 1 + len(sizes)))


@settings(deadline=None)
@given(st.lists(_SIZES, min_size=2, max_size=9))
def test_a_drop_is_the_logarithm_of_a_ratio(sizes: list[float]) -> None:
    for place, found in enumerate(drops(np.array(sizes))):
        own = sizes[place]
        others = [one for at, one in enumerate(sizes) if at != place and not math.isnan(one)]
        reached = [one for one in others if one < math.inf]
        if math.isnan(own) or not others or (math.isinf(own) and not reached):
            assert math.isnan(found)
        elif math.isinf(own) or not reached:
            assert found == (-math.inf if math.isinf(own) else math.inf)
        else:
            ordered = sorted(min(one, max(reached)) for one in others)
            middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
            assert math.isclose(found, math.log(middle / own), abs_tol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 24), st.integers(0, 10_000))
def test_families_are_chains_of_near_ones(count: int, seed: int) -> None:
    """Beside a walk through all pairs; half of the models come from an earlier one."""
    rng = np.random.default_rng(seed)
    sketches: list[np.ndarray] = []
    for _ in range(count):
        if sketches and rng.random() < 0.5:
            base = sketches[rng.integers(len(sketches))]
            step = rng.normal(size=64)
            sketches.append(base + step * rng.uniform(0, 0.7) * np.linalg.norm(base) / 8)
        else:
            sketches.append(rng.normal(size=64))
    kinds = [str(rng.integers(2)) for _ in range(count)]
    family = list(range(count))
    for _ in range(count):
        for i in range(count):
            for j in range(count):
                longer = max(np.linalg.norm(sketches[i]), np.linalg.norm(sketches[j]))
                away = np.linalg.norm(sketches[i] - sketches[j])
                if kinds[i] == kinds[j] and away <= NEAR * longer:
                    family[i] = family[j] = min(family[i], family[j])
    numbers = {one: at for at, one in enumerate(dict.fromkeys(family))}
    found = families(kinds, [one.tolist() for one in sketches])
    assert found.tolist() == [numbers[one] for one in family]
