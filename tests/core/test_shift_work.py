"""Eq. 4: how much the exact solver does, what it holds, what it tells meanwhile and in the end."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from shift_problems import mean_loss, problem
from torch.utils._python_dispatch import TorchDispatchMode

from bdshift.errors import InputError
from bdshift.jobs import JobContext
from bdshift.shift import exact
from bdshift.shift.exact import solve_exact
from bdshift.shift.kernels import FactoredKernel
from bdshift.shift.logit_rows import LogitRows

Problem = tuple[NDArray[np.float64], NDArray[np.float64]]


class Passes(JobContext):
    """Counts passes over the images, each of which looks whether to stop."""

    count = 0

    def raise_if_canceled(self) -> None:
        self.count += 1

    def progress(self, *told: object, **_: object) -> None:
        """Does not look."""


def nearly_inside() -> Problem:
    """The third class is hardly ever the largest, whatever the shift."""
    logits, weight = problem()
    weight[3] = weight[[0, 1]].mean(0)
    weight[3, 0] += 1e-3
    return logits, weight


@pytest.mark.parametrize(
    ("given", "most"),
    [
        (problem(100, 6, 2, 1), 18), (problem(), 38), (problem(200, 4, 12, 5), 104),
        (problem(60, 12, 6, 3, 30.0), 160), (nearly_inside(), 950),
    ],
    ids=["two classes", "five", "twelve", "large logits", "far"],
)  # fmt: skip
def test_few_passes_are_enough(given: Problem, most: int) -> None:
    """A tenth more than when this was written."""
    job = Passes()
    found = solve_exact(*given, job=job)
    assert set(found.status) == {"solved"}
    assert job.count <= most
    assert 0 < 3 * found.iterations < job.count, "a step takes at least three passes"


def test_an_alpha_that_hardly_needs_a_shift() -> None:
    logits, weight = problem()
    least = min(mean_loss(logits, weight, np.zeros(16), target)[0] for target in range(5))
    found = solve_exact(logits, weight, alpha=least * 0.9999)
    assert set(found.status) == {"solved"}
    assert 0 < found.l2.min() < 1e-3


def test_no_solution_is_shorter_than_what_is_proven_on_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = solve_exact(*problem())
    sides = set()
    for most in range(1, 6):
        monkeypatch.setattr(exact, "_MAX_STEPS", most)
        found = solve_exact(*problem())
        assert set(found.status) == {"unfinished"}
        assert np.all(found.lower <= whole.l2 * (1 + 1e-9)), most
        sides |= set(np.sign((found.loss - found.alpha).round(4)))
    assert {-1, 1} < sides, "both from too short and from too long a shift"


def test_multipliers_are_those_of_the_original_problem() -> None:
    logits, weight = problem()
    found = solve_exact(logits, weight)
    for target in range(5):
        shift = found.shift[target]
        gradient = mean_loss(logits, weight, shift, target)[1]
        expected = -(shift @ gradient) / (gradient @ gradient)
        assert found.multiplier[target] == pytest.approx(expected, rel=1e-6)


def test_nothing_is_claimed_of_a_class_that_needs_no_shift() -> None:
    logits, weight = problem()
    logits[:, 2] += 2000  # its probability is 1, and no direction would change that
    found = solve_exact(logits, weight)
    assert found.status[2] == "free"
    assert (found.l2[2], found.lower[2]) == (0, 0)


def test_logits_that_no_training_produces_are_refused() -> None:
    logits, weight = problem()
    for factor, refused in ((1e3, False), (1e9, True)):
        if refused:
            with pytest.raises(InputError, match="which no training produces"):
                solve_exact(logits * factor, weight * factor)
        else:
            assert set(solve_exact(logits * factor, weight * factor).status) == {"solved"}


def test_seconds_are_those_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "time", SimpleNamespace(perf_counter=iter([5.0, 7.0]).__next__))
    assert solve_exact(*problem()).seconds == 2


class Largest(TorchDispatchMode):
    """The most numbers that a tensor has held."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.most = max(self.most, found.numel())
        return found


@pytest.mark.parametrize("together", [0, 1, 3])
def test_classes_share_the_memory(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large logits need a probability for each class, image and output at a time."""
    logits, weight = problem(20, 4, 4, scale=40.0)
    whole = solve_exact(logits, weight)
    monkeypatch.setattr(exact, "MAX_STATE_BYTES", together * 8 * logits.size)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        found = solve_exact(logits, weight)
    assert largest.most == max(1, together) * logits.size
    assert found.status == whole.status
    assert np.allclose(found.l2, whole.l2, rtol=1e-8)
    assert abs(found.iterations - whole.iterations) <= 2, "those of the slowest class"


class Exponentials(TorchDispatchMode):
    """Counts them."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        if func.name().startswith("aten::exp"):
            self.count += found.numel()
        return found


@pytest.mark.parametrize("lacking", [0, 1])
def test_exponentials_are_kept_where_there_is_room(lacking: int) -> None:
    logits = torch.from_numpy(problem(30, 4, 5)[0])
    kernel = FactoredKernel(LogitRows(logits), lambda: None, keep=8 * 30 * 5 - lacking)
    shifts = torch.zeros(2, 5, dtype=torch.float64)
    with Exponentials() as exponentials:  # type: ignore[no-untyped-call]
        kernel.loss(shifts, torch.tensor([0, 3]))
    assert exponentials.count == shifts.numel() + lacking * logits.numel()


@pytest.mark.parametrize("room", [2**30, 5 * 8 * 200])
@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_progress_counts_classes_up_to_all(
    scale: float, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "MAX_STATE_BYTES", room)
    told: list[tuple[int, int]] = []

    class Telling(JobContext):
        def progress(
            self, stage: object, done: int, total: int, *rest: object, **_: object
        ) -> None:
            told.append((done, total))

    solve_exact(*problem(200, 6, 12, scale=scale), job=Telling())
    counts = [done for done, _ in told]
    assert {total for _, total in told} == {12}
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 12)
    assert max(np.diff(counts)) <= 6, "it does not jump"
