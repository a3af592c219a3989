"""Eq. 4: the exact solver against independent ones, its certificates, its hard cases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from shift_problems import mean_loss, problem
from torch.utils._python_dispatch import TorchDispatchMode

from bdshift.errors import InputError, UsageError
from bdshift.jobs import Canceled, JobContext
from bdshift.shift.adam import solve_adam
from bdshift.shift.exact import solve_exact
from bdshift.shift.kernels import DirectKernel, FactoredKernel
from bdshift.shift.logit_rows import LogitRows
from bdshift.shift.result import Shifts

Array = NDArray[np.float64]
Solve = Callable[..., Shifts]


def certify(logits: Array, weight: Array, found: Shifts, target: int) -> float:
    """KKT residual of one class in the original coordinates, from scratch."""
    shift = found.shift[target]
    loss, gradient = mean_loss(logits, weight, shift, target)
    multiplier = -(shift @ gradient) / (gradient @ gradient)
    assert multiplier > 0
    stationarity = np.linalg.norm(shift + multiplier * gradient) / np.linalg.norm(shift)
    return max(float(stationarity), float(abs(loss / found.alpha - 1)))


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.7])
@pytest.mark.parametrize(
    "size",
    [(200, 16, 5), (50, 40, 8), (300, 3, 3), (30, 6, 2)],
    ids=lambda s: "×".join(map(str, s)),
)
def test_kkt_holds_in_the_original_coordinates(size: tuple[int, int, int], alpha: float) -> None:
    logits, weight = problem(*size)
    found = solve_exact(logits, weight, alpha=alpha)
    assert found.solver == "exact"
    assert set(found.status) <= {"solved", "free"}
    for target in [i for i, status in enumerate(found.status) if status == "solved"]:
        assert certify(logits, weight, found, target) < 1e-8
        assert np.linalg.norm(found.shift[target]) == pytest.approx(found.l2[target], rel=1e-12)
        assert found.lower[target] == pytest.approx(found.l2[target], rel=1e-8)
    assert found.kkt_max < 1e-8
    assert abs(found.gap_max) < 1e-8


def test_against_a_general_solver() -> None:
    logits, weight = problem(60, 6, 4, seed=2)
    found = solve_exact(logits, weight)
    for target in range(4):
        start = 3 * (weight[target] - weight.mean(0))
        other = minimize(
            lambda s: (0.5 * s @ s, s),
            start,
            jac=True,
            method="SLSQP",
            constraints={
                "type": "ineq",
                "fun": lambda s, t=target: 0.1 - mean_loss(logits, weight, s, t)[0],
                "jac": lambda s, t=target: -mean_loss(logits, weight, s, t)[1],
            },
            options={"maxiter": 500, "ftol": 1e-14},
        )
        assert other.success
        assert np.linalg.norm(other.x) == pytest.approx(found.l2[target], rel=1e-6)
        assert np.allclose(other.x, found.shift[target], atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    images=st.integers(1, 60),
    dim=st.integers(1, 12),
    classes=st.integers(2, 9),
    seed=st.integers(0, 10**6),
    power=st.floats(-3, 2),
    alpha=st.floats(0.005, 2.0),
)
def test_every_answer_is_proven(
    images: int, dim: int, classes: int, seed: int, power: float, alpha: float
) -> None:
    """Solved classes satisfy KKT; free ones need nothing; the others' bounds are true."""
    logits, weight = problem(images, dim, classes, seed, 10**power)
    found = solve_exact(logits, weight, alpha=alpha)
    for target, status in enumerate(found.status):
        loss = mean_loss(logits, weight, found.shift[target], target)[0]
        if status == "solved":
            assert certify(logits, weight, found, target) < 1e-6
        elif status == "free":
            assert loss <= alpha
            assert found.l2[target] == 0
        elif status == "unreachable":
            assert np.isinf(found.l2[target])
            # Nothing short of the proven length gets there, in any of many directions.
            rng = np.random.default_rng(seed)
            tries = rng.normal(size=(50, dim))
            tries *= 0.99 * found.lower[target] / np.linalg.norm(tries, axis=1, keepdims=True)
            assert min(mean_loss(logits, weight, s, target)[0] for s in tries) > alpha


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_units_of_the_embedding_do_not_matter(factor: float) -> None:
    """Embeddings in the thousands (raw pixels in) with small weights: the same problem."""
    logits, weight = problem()
    usual, scaled = solve_exact(logits, weight), solve_exact(logits, weight / factor)
    assert np.allclose(scaled.l2, usual.l2 * factor, rtol=1e-7)
    assert scaled.kkt_max < 1e-8
    assert np.allclose(scaled.shift, usual.shift * factor, rtol=1e-5, atol=1e-6 * factor)


@pytest.mark.parametrize("scale", [30.0, 300.0])
def test_large_logits(scale: float) -> None:
    """Logits in the thousands: softmax is a step, and the constraint nearly piecewise linear."""
    logits, weight = problem(500, 64, 10, scale=scale)
    assert logits.max() > 40 * scale
    found = solve_exact(logits, weight)
    assert set(found.status) == {"solved"}
    assert max(certify(logits, weight, found, target) for target in range(10)) < 1e-8


def test_rank_deficient_heads_and_more_classes_than_dimensions() -> None:
    logits, weight = problem(200, 30, 6, seed=4)
    flat = weight.copy()
    flat[:, 3:] = 0  # rank 3
    found = solve_exact(logits, flat)
    assert np.allclose(found.shift[:, 3:], 0)
    assert found.kkt_max < 1e-8
    logits, weight = problem(200, 4, 12, seed=5)
    found = solve_exact(logits, weight)
    assert found.kkt_max < 1e-8
    for target, status in enumerate(found.status):
        if status == "solved":
            assert certify(logits, weight, found, target) < 1e-8


@pytest.mark.parametrize("factor", [7.0, 1e6])
def test_a_constant_in_all_rows_changes_nothing(factor: float) -> None:
    logits, weight = problem()
    constant = factor * np.random.default_rng(0).normal(size=weight.shape[1])
    moved = solve_exact(logits, weight + constant)
    assert np.allclose(moved.l2, solve_exact(logits, weight).l2, rtol=1e-8)


def test_classes_that_no_shift_can_reach() -> None:
    logits, weight = problem(200, 16, 5)
    twins = weight.copy()
    twins[3] = twins[4]  # no shift separates them
    inside = weight.copy()
    inside[3] = inside[[0, 1]].mean(0)  # never the largest
    assert solve_exact(logits, twins).status[3:] == ("unreachable", "unreachable")
    found = solve_exact(logits, inside)
    assert found.status[3] == "unreachable"
    assert np.isinf(found.l2[3])
    assert not found.shift[3].any()
    assert [found.status[i] for i in (0, 1, 2, 4)] == ["solved"] * 4
    same = solve_exact(logits, np.ones_like(weight))
    assert set(same.status) <= {"unreachable", "free"}


def test_one_dominant_class_needs_no_shift() -> None:
    logits, weight = problem()
    logits[:, 2] += 500
    found = solve_exact(logits, weight)
    assert found.status[2] == "free"
    assert found.l2[2] == 0
    assert found.kkt_max < 1e-8
    assert all(certify(logits, weight, found, t) < 1e-8 for t in (0, 1, 3, 4))


def test_smaller_alpha_needs_longer_shifts() -> None:
    logits, weight = problem()
    norms = [solve_exact(logits, weight, alpha=a).l2 for a in (0.5, 0.1, 0.02, 0.004)]
    for shorter, longer in pairwise(norms):
        assert (longer > shorter).all()


def test_kernels_agree() -> None:
    logits, _ = problem(300, 8, 6)
    z = torch.from_numpy(logits)
    rng = torch.Generator().manual_seed(0)
    t = torch.randn(4, 6, dtype=torch.float64, generator=rng) * 5
    v = torch.randn(4, 6, dtype=torch.float64, generator=rng)
    targets = torch.tensor([0, 3, 3, 5])
    results = []
    rows = LogitRows(z)
    for kernel in (
        FactoredKernel(rows, lambda: None, keep=z.nbytes),
        FactoredKernel(rows, lambda: None, keep=z.nbytes - 1),
        DirectKernel(rows, lambda: None),
    ):
        loss, mean_p, state = kernel.evaluate(t, targets)
        product = kernel.hessian_product(state, mean_p, v)
        part = kernel.hessian_product(
            state.select(torch.tensor([False, True, False, True])), mean_p[1::2], v[1::2]
        )
        assert torch.allclose(part, product[1::2], atol=1e-14)
        assert torch.allclose(kernel.loss(t, targets), loss, atol=1e-13)
        results.append((loss, mean_p, product))
    for kept, again, direct in zip(*results, strict=True):
        assert torch.equal(kept, again)
        assert torch.allclose(kept, direct, atol=1e-12)
    for k, target in enumerate(targets.tolist()):  # and with autograd
        x = t[k].clone().requires_grad_()

        def loss_of(x: torch.Tensor, target: int = target) -> torch.Tensor:
            wanted = torch.full((len(z),), target)
            return torch.nn.functional.cross_entropy(z + x, wanted)

        hessian = torch.autograd.functional.hessian(loss_of, x)
        assert torch.allclose(hessian @ v[k], results[0][2][k], atol=1e-10)


def test_caches_are_left_alone_and_results_are_read_only() -> None:
    logits, weight = problem()
    logits, weight = logits.astype(np.float32), weight.astype(np.float32)
    before = logits.copy(), weight.copy()
    logits.flags.writeable = False
    found = solve_exact(logits, weight)
    assert np.array_equal(logits, before[0])
    assert np.array_equal(weight, before[1])
    with pytest.raises(ValueError, match="read-only"):
        found.shift[0, 0] = 1


@pytest.mark.parametrize("solve", [solve_exact, solve_adam])
def test_bad_problems(solve: Solve) -> None:
    logits, weight = problem()
    for alpha in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="alpha"):
            solve(logits, weight, alpha=alpha)
    with pytest.raises(InputError, match="no images"):
        solve(logits[:0], weight)
    with pytest.raises(InputError, match="does not fit"):
        solve(logits, weight[:3])
    with pytest.raises(InputError, match="does not fit"):
        solve(logits[:, :1], weight[:1])
    broken = logits.copy()
    broken[0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        solve(broken, weight)
    broken = weight.copy()
    broken[1, 2] = np.inf
    with pytest.raises(InputError, match="not finite"):
        solve(logits, broken)


def test_adam_is_never_shorter_than_exact() -> None:
    logits, weight = problem(300, 32, 6)
    adam = solve_adam(logits, weight)
    assert adam.solver == "adam"
    assert np.isnan(adam.kkt_max)
    for target, loss in enumerate(adam.loss):
        assert mean_loss(logits, weight, adam.shift[target], target)[0] == pytest.approx(
            loss, rel=1e-3
        )
        exact = solve_exact(logits, weight, alpha=float(loss))
        assert adam.l2[target] >= exact.l2[target] * (1 - 1e-5)
    reached = [s == "solved" for s in adam.status]
    assert all(loss <= 0.1 for loss, ok in zip(adam.loss, reached, strict=True) if ok)


class Work(TorchDispatchMode):
    """Counts what torch multiplies and writes since it was last asked, and the most of it."""

    done = most = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.mm.default:
            self.done += args[0].numel() * args[1].shape[1]
        elif isinstance(found, torch.Tensor):
            self.done += found.numel()
        return found

    def asked(self) -> None:
        """Somebody looked whether to stop."""
        self.done, self.most = 0, max(self.most, self.done)


@pytest.mark.parametrize("solve", [solve_exact, solve_adam])
def test_it_is_never_long_until_cancel_is_heard(solve: Solve) -> None:
    """Between two looks there is far less work than one pass over all images for all classes."""
    logits, weight = problem(40_000, 8, 20)
    work = Work()  # type: ignore[no-untyped-call]

    class Counting(JobContext):
        looks = 0

        def raise_if_canceled(self) -> None:
            work.asked()
            self.looks += 1
            if self.looks == 400:
                self.cancel()
            super().raise_if_canceled()

    job = Counting()
    with work, pytest.raises(Canceled):
        solve(logits, weight, job=job)
    assert job.looks == 400, "the next look ends it"
    images, classes = logits.shape
    assert images < work.most < images * classes**2 / 2


@pytest.mark.parametrize("solve", [solve_exact, solve_adam])
def test_it_can_be_canceled_from_another_thread(solve: Solve) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 300)).astype(np.float32) * 3
    weight = rng.normal(size=(300, 64)).astype(np.float32)
    started = threading.Event()
    stopped: list[Canceled] = []

    class Telling(JobContext):
        def raise_if_canceled(self) -> None:
            started.set()
            super().raise_if_canceled()

    job = Telling()

    def run() -> None:
        with pytest.raises(Canceled) as caught:
            solve(logits, weight, job=job)
        stopped.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(60)
    job.cancel()
    thread.join(60)
    assert stopped
