"""Eq. 4 solved exactly, as the convex problem it is, for all classes at once.

    minimize ½‖s‖²   subject to   F_i(s) = mean CE(Z + W s, i) ≤ α.

Stationarity gives s = λ Wᵀ(e_i − p̄): s lies in the row space of W, and adding one vector to all
rows of W changes nothing. So with the SVD  W − mean row = U S Vᵀ  (rank r ≤ min(C − 1, d)) and
s = V a / S₁, everything happens in r unknowns a, in which the logits shift by A a, A = U S / S₁.
That keeps the problem well scaled whatever the units of the embedding, and rank-deficient heads do
no harm.

Each step is Newton on (a, λ) together: the quadratic model of the Lagrangian under the linearized
constraint, written for log F because F's tail is exponential. The model is solved by conjugate
gradients projected onto the constraint, so that only Hessian products are needed (two matrix
products for all classes); a line search on ½‖a‖² + μ|log F/α| makes it converge from anywhere.
Logits much larger than a step can model are approached by cooling: the same problem for Z/τ, τ → 1.

At any a and λ ≥ 0, strong convexity proves that no feasible point is shorter than
√(‖a‖² + 2λ(F − α) − ‖a + λ∇F‖²), and convexity that none is shorter than
(F − ∇F·a − α)/‖∇F‖ where F > α. The larger of the two is `Shifts.lower`: at a solution it equals
‖s‖, and when it exceeds any sensible length, the class is reported as unreachable.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from bdshift.checkpoints.entrant import MAX_LOGIT_SPREAD
from bdshift.errors import InputError, UsageError
from bdshift.jobs import SILENT, JobContext
from bdshift.shift.kernels import MAX_SPREAD, DirectKernel, FactoredKernel, Kernel, KernelState
from bdshift.shift.logit_rows import LogitRows, Spread
from bdshift.shift.result import Shifts, Status
from bdshift.shift.room import MAX_STATE_BYTES, kept_bytes

TOLERANCE = 1e-9
_MAX_STEPS = 150  # at one temperature
_USUAL_STEPS = 6  # of these, by which progress is told: classes are solved together
_COOLING_TOLERANCE = 0.1
_START_LOGIT = 10.0  # mean logit to overcome at the first temperature
_MAX_REACH = 1e4  # times the logits' spread: a class proven to need a longer shift is unreachable


@dataclass(frozen=True)
class _Basis:
    """The head in coordinates a: the logits shift by ``a @ matrix.T``, and s = a @ rows / scale."""

    matrix: torch.Tensor  # A (C, r)
    rows: torch.Tensor  # Vᵀ (r, d)
    scale: float  # S₁


def _basis(weight: torch.Tensor) -> _Basis:
    centered = weight - weight.mean(0)
    u, s, v = torch.linalg.svd(centered, full_matrices=False)
    largest = float(s[0]) if len(s) else 0.0
    keep = s > largest * max(centered.shape) * torch.finfo(s.dtype).eps * 4
    return _Basis(u[:, keep] * (s[keep] / (largest or 1.0)), v[keep], largest or 1.0)


@dataclass(frozen=True)
class _Iterate:
    """The state of the classes ``targets``. The first dimension is k throughout.

    ``a`` (k, r), ``loss`` (k,), ``mean_p`` (k, C), ``gradient`` of the loss in a (k, r), ``square``
    its squared length, ``multiplier`` the least-squares λ, ``residual`` the KKT residual.
    """

    targets: torch.Tensor
    a: torch.Tensor
    loss: torch.Tensor
    mean_p: torch.Tensor
    state: KernelState
    gradient: torch.Tensor
    square: torch.Tensor
    multiplier: torch.Tensor
    residual: torch.Tensor

    def select(self, keep: torch.Tensor) -> _Iterate:
        parts = {
            name: value[keep]
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, state=self.state.select(keep), **parts)


class _Subproblem:
    """The problem at one temperature."""

    def __init__(self, kernel: Kernel, basis: _Basis, alpha: float) -> None:
        self.kernel, self.basis, self.alpha = kernel, basis, alpha

    def at(self, a: torch.Tensor, targets: torch.Tensor) -> _Iterate:
        """Evaluate everything at ``a``."""
        loss, mean_p, state = self.kernel.evaluate(a @ self.basis.matrix.T, targets)
        pull = mean_p.clone()
        pull[torch.arange(len(targets), device=targets.device), targets] -= 1
        gradient = pull @ self.basis.matrix
        square = gradient.square().sum(1)
        multiplier = (-(a * gradient).sum(1) / square).clamp(min=0)
        stationarity = (a + multiplier[:, None] * gradient).norm(dim=1) / a.norm(dim=1)
        residual = torch.maximum(stationarity.nan_to_num(torch.inf), (loss / self.alpha - 1).abs())
        return _Iterate(targets, a, loss, mean_p, state, gradient, square, multiplier, residual)

    def model_step(self, now: _Iterate) -> tuple[torch.Tensor, torch.Tensor]:
        """The step d that minimizes ½dᵀMd + a·d, with F + ∇F·d where log F should be, and its λ.

        M = I + ‖a‖/‖∇F‖ H: at a solution ‖a‖/‖∇F‖ is λ; elsewhere it is at least the least-squares
        λ. Projected conjugate gradients for all classes at once, each to its own tolerance.
        """
        matrix = self.basis.matrix
        curvature = (now.a.norm(dim=1) / now.square.sqrt())[:, None]

        def model(v: torch.Tensor) -> torch.Tensor:
            product = self.kernel.hessian_product(now.state, now.mean_p, v @ matrix.T)
            return v + curvature * (product @ matrix)

        def project(v: torch.Tensor) -> torch.Tensor:
            along = (v * now.gradient).sum(1) / now.square
            return v - along[:, None] * now.gradient

        wanted = now.loss * (now.loss / self.alpha).log()
        step = -(wanted / now.square)[:, None] * now.gradient
        image = model(step)
        rest = project(-(now.a + image))
        direction = rest.clone()
        squared = rest.square().sum(1)
        tolerance = (0.3 * now.residual).clamp(1e-6, 0.1)
        floor = 1e-26 * (now.a.square().sum(1) + step.square().sum(1))
        enough = torch.maximum(tolerance.square() * squared, floor)
        for _ in range(5 * matrix.shape[1] + 20):
            open_ = squared > enough
            if not open_.any():
                break
            curved = model(direction)
            length = torch.where(open_, squared / (direction * curved).sum(1), 0.0)[:, None]
            step = step + length * direction
            image = image + length * curved
            rest = rest - length * project(curved)
            new = rest.square().sum(1)
            turn = torch.where(open_, new / squared, 0.0)[:, None]
            direction = torch.where(open_[:, None], rest + turn * direction, direction)
            squared = torch.where(open_, new, squared)
        multiplier = -((now.a + image) * now.gradient).sum(1) / now.square
        return step, multiplier

    def search(self, now: _Iterate, step: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """How much of ``step`` each class takes: backtracking on ½‖a‖² + weight·|log F/α|."""
        violation = (now.loss / self.alpha).log().abs()
        merit = 0.5 * now.a.square().sum(1) + weight * violation
        slope = (now.a * step).sum(1) - weight * violation
        share = torch.ones_like(merit)
        open_ = torch.arange(len(share), device=share.device)
        for _ in range(40):
            a = now.a[open_] + share[open_, None] * step[open_]
            loss = self.kernel.loss(a @ self.basis.matrix.T, now.targets[open_])
            value = 0.5 * a.square().sum(1) + weight[open_] * (loss / self.alpha).log().abs()
            # The last term allows for rounding where a step is at the limit of float64.
            bound = merit[open_] + 1e-4 * share[open_] * slope[open_] + 1e-13 * merit[open_].abs()
            open_ = open_[~(value <= bound)]
            if not len(open_):
                break
            share[open_] *= 0.4
        else:
            share[open_] = 0.0
        return share


def _least_length(now: _Iterate, alpha: float) -> torch.Tensor:
    """No feasible a is shorter than this (k,), by duality or by F's tangent at an infeasible a."""
    rest = (now.a + now.multiplier[:, None] * now.gradient).square().sum(1)
    dual = now.a.square().sum(1) + 2 * now.multiplier * (now.loss - alpha) - rest
    tangent = (now.loss - (now.gradient * now.a).sum(1) - alpha) / now.square.sqrt()
    tangent = torch.where(now.loss > alpha, tangent, 0.0)
    return torch.maximum(dual.nan_to_num(0.0).clamp(min=0).sqrt(), tangent)


def _classify(
    now: _Iterate, alpha: float, tolerance: float, reach: float
) -> dict[Status, torch.Tensor]:
    """Which classes are solved, need no shift, or cannot be reached by any (each bool (k,))."""
    free = (now.loss <= alpha) & (now.a.square().sum(1) == 0)
    solved = (now.residual < tolerance) & ~free
    lost = (now.loss > alpha) & ~solved & (_least_length(now, alpha) > reach)
    return {"free": free, "solved": solved, "unreachable": lost}


class _Group:
    """Some classes on their way through the temperatures, with their best a and their status."""

    def __init__(self, targets: torch.Tensor, rank: int) -> None:
        count = len(targets)
        self.targets = targets
        self.a = torch.zeros(count, rank, dtype=torch.float64, device=targets.device)
        self.status: list[Status] = ["unfinished"] * count
        self.loss = self.a.new_zeros(count)
        self.residual = self.a.new_full((count,), torch.inf)
        self.multiplier = self.a.new_zeros(count)
        self.lower = self.a.new_zeros(count)
        self.steps = 0

    def run(
        self, stage: _Subproblem, tolerance: float, reach: float, stepped: Callable[[int], None]
    ) -> None:
        """Solve at one temperature; classes found unreachable stay so."""
        rows = torch.tensor(
            [row for row, status in enumerate(self.status) if status != "unreachable"],
            dtype=torch.long, device=self.a.device,
        )  # fmt: skip
        if not len(rows):
            return
        now = stage.at(self.a[rows], self.targets[rows])
        weight = torch.zeros_like(now.loss)
        for taken in range(_MAX_STEPS):
            stepped(taken)
            self._keep(rows, now, stage.alpha)
            leaving = torch.zeros_like(now.loss, dtype=torch.bool)
            for name, which in _classify(now, stage.alpha, tolerance, reach).items():
                leaving |= which
                for row in rows[which].tolist():
                    self.status[row] = name
            if leaving.all():
                return
            if leaving.any():
                now, rows, weight = now.select(~leaving), rows[~leaving], weight[~leaving]
            step, multiplier = stage.model_step(now)
            weight = torch.maximum(weight, 1.5 * multiplier.abs() * now.loss)
            share = stage.search(now, step, weight)
            if not share.any():
                break
            now = stage.at(now.a + share[:, None] * step, now.targets)
            self.steps += 1
        self._keep(rows, now, stage.alpha)
        for row in rows.tolist():
            self.status[row] = "unfinished"

    def _keep(self, rows: torch.Tensor, now: _Iterate, alpha: float) -> None:
        self.a[rows], self.loss[rows], self.residual[rows] = now.a, now.loss, now.residual
        self.multiplier[rows] = now.multiplier
        self.lower[rows] = _least_length(now, alpha)


def _temperatures(missing: float) -> list[float]:
    """Starting where the logit to overcome is `_START_LOGIT` on average, halved down to 1."""
    count = math.ceil(math.log2(max(missing / _START_LOGIT, 1.0)))
    return [2.0**power for power in range(count, -1, -1)]


def solve_exact(
    logits: np.ndarray | torch.Tensor,
    weight: np.ndarray | torch.Tensor,
    *,
    alpha: float = 0.1,
    device: torch.device | str = "cpu",
    job: JobContext = SILENT,
) -> Shifts:
    """The smallest shift to every class (Eq. 4), to a relative KKT residual of 1e-9.

    Args:
        logits: Z = φWᵀ + b of the clean images, (N, C), any float type; may lie on disk.
        weight: head W, (C, d).
        alpha: loss threshold α > 0, in nats; 0.1 in the paper.
        device: where to compute, in float64.
        job: progress (classes done) and cancellation.

    Raises `UsageError` for α ≤ 0, and `InputError` for fewer than two classes, no images, or values
    that are not finite.
    """
    started = time.perf_counter()
    z = LogitRows(logits, device)
    w = as_tensor(weight, torch.float64, device)
    found = check_problem(z, w, alpha)
    classes, spread = z.shape[1], found.largest
    basis = _basis(w)
    direct = spread > MAX_SPREAD
    state_row = 8 * max(len(z) * (classes if direct else 1), 4 * classes)
    size = max(1, min(classes, MAX_STATE_BYTES // state_row))
    groups = [
        _Group(torch.arange(start, min(classes, start + size), device=w.device), len(basis.rows))
        for start in range(0, classes, size)
    ]
    previous, temperatures, ended = 1.0, _temperatures(found.missing), 0

    def stepped(taken: int) -> None:
        whole = len(temperatures) * len(groups) * _USUAL_STEPS
        share = (ended * _USUAL_STEPS + min(taken, _USUAL_STEPS)) / whole
        job.progress("Solving shifts", int(share * classes), classes, "classes")

    for temperature in temperatures:
        last = temperature == 1.0
        cooled = z.cooled(temperature)
        kernel: Kernel = (
            DirectKernel(cooled, job.raise_if_canceled)
            if spread / temperature > MAX_SPREAD
            else FactoredKernel(cooled, job.raise_if_canceled, kept_bytes(w.device))
        )
        stage = _Subproblem(kernel, basis, alpha)
        for group in groups:
            group.a *= previous / temperature
            reach = _MAX_REACH * (1 + spread / temperature)
            group.run(stage, TOLERANCE if last else _COOLING_TOLERANCE, reach, stepped)
            ended += 1
            stepped(0)
        previous = temperature
    return _collect(groups, basis, alpha, time.perf_counter() - started)


def as_tensor(
    values: np.ndarray | torch.Tensor, dtype: torch.dtype, device: torch.device | str
) -> torch.Tensor:
    """A tensor with its own memory: the caches are read-only, and torch has no such tensors."""
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(values.copy())
    return values.to(device=device, dtype=dtype)


def check_problem(z: LogitRows, w: torch.Tensor, alpha: float) -> Spread:
    """Raise `UsageError` or `InputError` where Eq. 4 has no meaning."""
    if not alpha > 0 or not math.isfinite(alpha):
        raise UsageError("alpha must be a positive number, not {value}", value=alpha)
    if len(z) == 0:
        raise InputError("there are no images to find a shift on")
    if z.shape[1] < 2 or z.shape[1] != len(w):
        raise InputError(
            "a head with {rows:|row|rows} does not fit logits of {classes:|class|classes}",
            rows=len(w), classes=z.shape[1],
        )  # fmt: skip
    found = z.spread()
    if not (found.finite and torch.isfinite(w).all()):
        raise InputError("the logits or the head's weights are not finite")
    if found.largest > MAX_LOGIT_SPREAD:
        raise InputError(
            "the logits of an image are up to {spread:.0e} apart, which no training produces: the "
            "head was scaled, or the preprocessing is wrong",
            spread=found.largest,
        )
    return found


def _collect(groups: list[_Group], basis: _Basis, alpha: float, seconds: float) -> Shifts:
    status = tuple(name for group in groups for name in group.status)
    lost = np.array([name == "unreachable" for name in status])

    def joined(values: list[torch.Tensor]) -> np.ndarray:
        return torch.cat(values).cpu().numpy()

    a = torch.cat([group.a for group in groups])
    shift = (a @ basis.rows / basis.scale).cpu().numpy()
    l2 = (a.norm(dim=1) / basis.scale).cpu().numpy()
    shift[lost], l2[lost] = 0.0, np.inf
    kkt = joined([group.residual for group in groups])
    kkt[[name in ("unreachable", "free") for name in status]] = np.nan
    return Shifts(
        shift=shift,
        l2=l2,
        loss=joined([group.loss for group in groups]),
        lower=joined([group.lower for group in groups]) / basis.scale,
        kkt=kkt,
        multiplier=joined([group.multiplier for group in groups]) / basis.scale**2,
        status=status,
        alpha=alpha,
        solver="exact",
        iterations=max(group.steps for group in groups),
        seconds=seconds,
    )
