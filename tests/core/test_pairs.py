"""Eq. 4 for every pair of classes, and the map along which the pairs are one-sided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from planted import clusters
from torch.utils._python_dispatch import TorchDispatchMode

from bdshift.errors import InputError, UsageError
from bdshift.jobs import Canceled, Event, JobContext
from bdshift.shift.exact import solve_exact
from bdshift.shift.pair_map import best_map, one_sided, residual
from bdshift.shift.pairs import solve_pairs

Array = NDArray[np.float64]


def norms_by_source(logits: Array, labels: NDArray[np.int64], weight: Array) -> Array:
    """From the solver of single classes, on the images of one source at a time."""
    right = logits.argmax(1) == labels
    found = np.full((len(weight),) * 2, np.nan)
    for source in range(len(weight)):
        found[source] = solve_exact(logits[right & (labels == source)], weight).l2
    np.fill_diagonal(found, np.nan)
    return found


@pytest.mark.parametrize(
    ("classes", "dim", "scale"), [(2, 8, 1.0), (5, 12, 1.0), (12, 6, 1.0), (10, 16, 30.0)]
)
def test_every_pair_is_the_exact_shift_of_its_source(classes: int, dim: int, scale: float) -> None:
    """Also with more classes than dimensions, and with logits hundreds apart."""
    logits, labels, weight = clusters(classes, dim=dim, scale=scale)
    found = solve_pairs(logits, labels, weight)
    expected = norms_by_source(logits, labels, weight)
    assert found.exact
    np.testing.assert_allclose(found.norm, expected, rtol=1e-6)
    assert np.isfinite(found.norm).sum() == classes * (classes - 1)
    assert found.images.sum() == (logits.argmax(1) == labels).sum()


def test_no_unit_of_the_embedding_matters() -> None:
    logits, labels, weight = clusters(6)
    once, scaled = (solve_pairs(logits, labels, weight * factor) for factor in (1, 1e4))
    np.testing.assert_allclose(once.norm, scaled.norm * 1e4, rtol=1e-6)


def test_a_class_inside_the_others_is_out_of_reach() -> None:
    logits, labels, weight = clusters(6)
    weight[5], logits[:, 5] = weight[:5].mean(0), logits[:, :5].mean(1)
    found = solve_pairs(logits, labels, weight)
    assert np.isinf(found.norm[:5, 5]).all()
    assert np.isfinite(found.norm[:5, :5]).sum() == 20
    residuals = residual(found.norm)
    assert np.isnan(residuals[:, 5]).all()


def test_a_source_without_images_is_unknown() -> None:
    logits, labels, weight = clusters(6)
    wrong = np.where(labels == 2, 4, labels)
    found = solve_pairs(logits, wrong, weight)
    assert found.images[2] == 0
    assert np.isnan(found.norm[2]).all()
    assert np.isfinite(np.delete(found.norm[:, 2], 2)).all()
    directed, _ = one_sided(residual(found.norm))
    assert best_map(directed).best[2] == -1


def test_many_classes_get_lower_bounds_near_the_shift() -> None:
    logits, labels, weight = clusters(70, dim=32, each=4, shown=3)
    found = solve_pairs(logits, labels, weight)
    assert not found.exact
    for source in (0, 2):
        own = (logits.argmax(1) == labels) & (labels == source)
        short = np.delete(found.norm[source] / solve_exact(logits[own], weight).l2, source)
        assert short.max() <= 1 + 1e-6
        assert short.min() > 0.85
        assert np.log(short).std() < 0.03


class Largest(TorchDispatchMode):
    """Keeps the size of the largest tensor that is made."""

    values = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.values = max(self.values, made.numel())
        return made


def test_a_thousand_classes_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sources, one with more images than fit at once."""
    monkeypatch.setattr("bdshift.shift.pairs._MAX_VALUES", 300_000)
    logits, labels, weight = clusters(1000, dim=24, each=2, shown=2)
    logits = np.concatenate([logits, np.repeat(logits[:1], 60, 0)])
    labels = np.concatenate([labels, np.zeros(60, np.int64)])
    with Largest() as largest:  # type: ignore[no-untyped-call]
        found = solve_pairs(logits, labels, weight)
    known = found.images > 0
    assert known.sum() == 2
    assert np.isfinite(found.norm[known]).sum() == 2 * 999
    assert largest.values <= 1_000_000, "the Gram matrix"


class StopsInSource(JobContext):
    """Asks to stop while the pairs of a source are solved."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.seen = number, 0

    def report(self, event: Event) -> None:
        self.seen += 1
        if self.seen == self.number:
            self.cancel()


def test_it_stops_when_asked() -> None:
    logits, labels, weight = clusters(10)
    job = StopsInSource(3)
    with pytest.raises(Canceled):
        solve_pairs(logits, labels, weight, job=job)
    assert job.seen == 3


def test_what_has_no_meaning_is_refused() -> None:
    logits, labels, weight = clusters(4)
    with pytest.raises(UsageError, match="alpha"):
        solve_pairs(logits, labels, weight, alpha=0.0)
    with pytest.raises(InputError, match="finite"):
        solve_pairs(logits * np.nan, labels, weight)


def noisy(classes: int, seed: int = 0) -> Array:
    """Norms of a clean network: rows and columns differ, and some classes are alike both ways."""
    rng = np.random.default_rng(seed)
    likeness = rng.normal(0, 0.3, (classes, classes))
    likeness += likeness.T
    made = rng.normal(0, 0.5, (classes, 1)) + rng.normal(0, 0.5, classes) + likeness
    made += rng.normal(0, 0.1, (classes, classes))
    np.fill_diagonal(made, np.nan)
    return 10 * np.exp(made)


def planted(norms: Array, targets: Sequence[int], by: float) -> Array:
    found = norms.copy()
    found[np.arange(len(norms)), list(targets)] *= np.exp(-by)
    return found


def test_rows_columns_and_likeness_cancel() -> None:
    plain = noisy(9)
    rng = np.random.default_rng(5)
    alike = rng.normal(0, 1, (9, 9))
    odd = plain * np.exp(rng.normal(0, 1, (9, 1)) + rng.normal(0, 1, 9))
    one, two = residual(plain), residual(odd)
    np.testing.assert_allclose(one, two, atol=1e-6)
    np.testing.assert_allclose(np.nanmedian(one, 0), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanmedian(one, 1), 0, atol=1e-6)
    symmetric = np.exp(alike + alike.T)
    np.fill_diagonal(symmetric, np.nan)
    directed, deviation = one_sided(residual(symmetric))
    assert deviation < 0.1 * np.nanstd(residual(symmetric))
    np.testing.assert_array_equal(directed, -directed.T)


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_permutation_is_found_and_stands_out(seed: int) -> None:
    """Of one cycle, as if every class were sent to the next in some order."""
    order = np.random.default_rng(seed).permutation(12)
    targets = np.empty(12, np.int64)
    targets[order] = np.roll(order, -1)
    directed, _ = one_sided(residual(planted(noisy(12, seed), targets.tolist(), 0.6)))
    found = best_map(directed, seed=seed)
    assert found.best.tolist() == targets.tolist()
    assert found.p < 0.01
    assert found.mean < -2
    assert found.targets.tolist() == targets.tolist()
    assert found.p_next > 0.01


def test_one_planted_pair_is_the_most_one_sided() -> None:
    norms = noisy(10)
    norms[4, 7] *= 0.4
    directed, _ = one_sided(residual(norms))
    assert int(np.nanargmin(directed)) == 4 * 10 + 7
    assert best_map(directed).p > 0.01


def test_by_chance_maps_stand_out_as_often_as_p_says() -> None:
    p = [best_map(one_sided(residual(noisy(8, seed)))[0], seed=seed).p for seed in range(12)]
    assert sum(one < 0.1 for one in p) <= 4
    assert min(p) >= 0.005
    assert np.median(p) > 0.3


def test_the_same_seed_gives_the_same() -> None:
    directed, _ = one_sided(residual(noisy(8)))
    one, two, other = (best_map(directed, seed=seed) for seed in (3, 3, 4))
    assert (one.p_directions, one.p_places) == (two.p_directions, two.p_places)
    assert one.best.tolist() == other.best.tolist()
    assert (one.p_directions, one.p_places) != (other.p_directions, other.p_places)


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6])
def test_with_few_classes_nothing_can_stand_out(classes: int) -> None:
    every = [(i + 1) % classes for i in range(classes)]
    directed, _ = one_sided(residual(planted(noisy(classes), every, 5)))
    found = best_map(directed)
    assert not found.p < 0.01
    assert found.best.tolist() == every or classes < 3


def test_a_weak_map_to_the_next_class_stands_out_by_the_numbers() -> None:
    """Where the best map of all is another one, or no better than by chance."""
    every = [(i + 1) % 10 for i in range(10)]
    found = best_map(one_sided(residual(planted(noisy(10, 1), every, 0.25)))[0])
    assert found.p_best > 0.01
    assert found.p_next < 0.005
    assert found.p < 0.01
    assert found.targets.tolist() == every
    other = np.random.default_rng(0).permutation(10)
    shuffled = planted(noisy(10, 1), every, 0.25)[np.ix_(other, other)]
    assert best_map(one_sided(residual(shuffled))[0]).p_next > 0.01


def test_a_large_map_is_found_in_bounded_work() -> None:
    every = [(i + 1) % 250 for i in range(250)]
    directed, _ = one_sided(residual(planted(noisy(250), every, 0.6)))
    found = best_map(directed)
    assert found.best.tolist() == found.targets.tolist() == every
    assert found.p == pytest.approx(2 / (1 + found.draws))
    assert found.draws < 500
