"""Eq. 4 for many pairs of classes at once, each on the images of its own source.

With one source there are few images, and with many classes only some of them are rivals of the
target. So the unknown is not s but its weight on each rival. With D the rivals' rows of W minus the
target's, the logits of the rivals relative to the target are u = gaps + D s, and stationarity,
s = −λ Dᵀ p̄, says that s = −Dᵀ v with v = λ p̄ (k numbers). All that is needed of the head is the
Gram matrix M = D Dᵀ (k, k): ‖s‖² = vᵀ M v, and the gaps move by −M v.

The steps are those of `bdshift.shift.exact`: Newton on (v, λ) for log F, a line search on
½‖s‖² + μ|log F/α|, cooling where logits are large, and the same two lower bounds. Since k is
small, each step solves (I + κ H M) y = r directly, for all pairs in one batch; it needs no inverse
of M, so rows that depend on each other do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

TOLERANCE = 1e-7  # of the relative KKT residual
_COOLING_TOLERANCE = 0.1
_START_LOGIT = 10.0  # mean gap to overcome at the first temperature
_MAX_STEPS = 300  # over all temperatures; fifteen are usual
_MAX_REACH = 1e4  # times the logits' spread: a target proven to be farther is out of reach


@dataclass(frozen=True)
class PairProblem:
    """``gaps`` (P, n, k): logit of each rival minus that of the target, on n images of the source;
    ``gram`` (P, k, k): M; both float64.
    """

    gaps: torch.Tensor
    gram: torch.Tensor


@dataclass(frozen=True)
class PairSolution:
    """Of P pairs: the weight ``v`` (P, k) of each rival, ‖s‖ ``norm`` (P,), infinite where the
    target is out of reach and NaN where the steps ended early, and a proven ``lower`` bound (P,).
    """

    v: torch.Tensor
    norm: torch.Tensor
    lower: torch.Tensor


@dataclass(frozen=True)
class _Point:
    """The state of the pairs ``rows``, at temperature ``heat``; the first dimension is that of all.

    ``moved`` = M v, ``image`` = M p̄ (k each), ``square`` = ‖s‖², ``steep`` = ‖∇F‖², ``along`` =
    −s·∇F.
    """

    rows: torch.Tensor
    gaps: torch.Tensor
    gram: torch.Tensor
    heat: torch.Tensor
    weight: torch.Tensor  # μ of the line search
    v: torch.Tensor
    moved: torch.Tensor
    loss: torch.Tensor
    p: torch.Tensor
    mean_p: torch.Tensor
    image: torch.Tensor
    square: torch.Tensor
    steep: torch.Tensor
    along: torch.Tensor
    multiplier: torch.Tensor
    residual: torch.Tensor

    def select(self, keep: torch.Tensor) -> _Point:
        return _Point(**{name: value[keep] for name, value in vars(self).items()})


def solve_rivals(
    problem: PairProblem, alpha: float, checkpoint: Callable[[], None]
) -> PairSolution:
    """The shortest shift of every pair against its rivals; each step calls ``checkpoint``."""
    gaps = problem.gaps
    norm, lower = gaps.new_full((2, len(gaps)), torch.nan)
    start = torch.zeros_like(gaps[:, 0])
    found = start.clone()
    spread = gaps.abs().amax((1, 2))
    size = problem.gram.diagonal(dim1=1, dim2=2).amax(1).sqrt()
    missing = gaps.amax(2).clamp(min=0).mean(1) / _START_LOGIT
    heat = 2.0 ** missing.clamp(min=1).log2().ceil()
    rows = torch.arange(len(gaps), device=gaps.device)
    now = _at(rows, gaps, problem.gram, heat, torch.zeros_like(heat), start, alpha)
    for _ in range(_MAX_STEPS):
        checkpoint()
        least = _least_length(now, alpha)
        reach = _MAX_REACH * (1 + spread[now.rows] / now.heat) / size[now.rows]
        lost = (now.loss > alpha) & (now.residual >= TOLERANCE) & ~(least <= reach)
        solved = (now.heat == 1) & (now.residual < TOLERANCE)
        leaving = lost | solved
        rows = now.rows[leaving]
        found[rows], lower[rows] = now.v[leaving], (least * (now.heat == 1))[leaving]
        norm[rows] = torch.where(lost, torch.inf, now.square.sqrt())[leaving]
        if leaving.all():
            return PairSolution(found, norm, lower)
        if leaving.any():
            now = now.select(~leaving)
        cooler = (now.heat > 1) & (now.residual < _COOLING_TOLERANCE)
        if cooler.any():
            now = _cooled(now, cooler, alpha)
        now = _stepped(now, alpha)
    found[now.rows], lower[now.rows] = now.v, _least_length(now, alpha) * (now.heat == 1)
    return PairSolution(found, norm, lower)


def _at(
    rows: torch.Tensor, gaps: torch.Tensor, gram: torch.Tensor, heat: torch.Tensor,
    weight: torch.Tensor, v: torch.Tensor, alpha: float,
) -> _Point:  # fmt: skip
    """Everything at ``v``."""
    moved = _times(gram, v)
    loss, p = _softmax(gaps, heat, moved)
    mean_p = p.mean(1)
    image = _times(gram, mean_p)
    square, steep = (v * moved).sum(1).clamp(min=0), (mean_p * image).sum(1).clamp(min=0)
    along = (v * image).sum(1)
    multiplier = (along / steep).clamp(min=0)
    rest = (square - 2 * multiplier * along + multiplier**2 * steep).clamp(min=0)
    stationarity = (rest / square).sqrt().nan_to_num(torch.inf)
    residual = torch.maximum(stationarity, (loss / alpha - 1).abs())
    return _Point(
        rows, gaps, gram, heat, weight, v, moved, loss, p, mean_p, image, square, steep, along,
        multiplier, residual,
    )  # fmt: skip


def _softmax(
    gaps: torch.Tensor, heat: torch.Tensor, moved: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """F (P,), and the probability of every rival on every image (P, n, k)."""
    u = gaps / heat[:, None, None] - moved[:, None, :]
    top = u.amax(2, keepdim=True).clamp(min=0)
    p = u.sub_(top).exp_()
    total = p.sum(2, keepdim=True) + (-top).exp()
    loss = (total.log() + top).mean((1, 2))
    return loss, p.div_(total)


def _times(gram: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.bmm(gram, v[:, :, None])[:, :, 0]


def _cooled(now: _Point, which: torch.Tensor, alpha: float) -> _Point:
    """At half the temperature, where s has to be about twice as long."""
    factor = torch.where(which, 2.0, 1.0).to(now.heat)
    weight = torch.where(which, 0.0, now.weight)
    return _at(
        now.rows, now.gaps, now.gram, now.heat / factor, weight, now.v * factor[:, None], alpha
    )


def _stepped(now: _Point, alpha: float) -> _Point:
    """One Newton step, as far as the line search lets each pair go."""
    images = now.p.shape[1]
    hessian = torch.diag_embed(now.mean_p) - now.p.transpose(1, 2) @ now.p / images
    curvature = (now.square / now.steep).sqrt()[:, None, None]
    system = curvature * (hessian @ now.gram)
    system.diagonal(dim1=1, dim2=2).add_(1)
    both = torch.linalg.solve(system, torch.stack([now.v, now.mean_p], 2))
    back, pull = both[:, :, 0], both[:, :, 1]
    wanted = now.loss * (now.loss / alpha).log()
    multiplier = (wanted + (now.image * back).sum(1)) / (now.image * pull).sum(1)
    step = multiplier[:, None] * pull - back
    weight = torch.maximum(now.weight, 1.5 * multiplier.abs() * now.loss)
    v = _searched(replace(now, weight=weight), step, alpha)
    return _at(now.rows, now.gaps, now.gram, now.heat, weight, v, alpha)


def _searched(now: _Point, step: torch.Tensor, alpha: float) -> torch.Tensor:
    """Where each pair is after backtracking along ``step`` on ½‖s‖² + μ|log F/α|."""
    shift = _times(now.gram, step)
    first, second = (step * now.moved).sum(1), (step * shift).sum(1)
    violation = (now.loss / alpha).log().abs()
    merit = 0.5 * now.square + now.weight * violation
    slope = first - now.weight * violation
    share = torch.ones_like(merit)
    open_ = torch.arange(len(share), device=share.device)
    for _ in range(30):
        part = share[open_]
        moved = now.moved[open_] + part[:, None] * shift[open_]
        loss = _softmax(now.gaps[open_], now.heat[open_], moved)[0]
        square = now.square[open_] + 2 * part * first[open_] + part**2 * second[open_]
        value = 0.5 * square + now.weight[open_] * (loss / alpha).log().abs()
        # The last term allows for rounding where a step is at the limit of float64.
        bound = merit[open_] + 1e-4 * part * slope[open_] + 1e-12 * merit[open_].abs()
        open_ = open_[~(value <= bound)]
        if not len(open_):
            break
        share[open_] *= 0.4
    return now.v + share[:, None] * step


def _least_length(now: _Point, alpha: float) -> torch.Tensor:
    """No feasible s is shorter than this (P,): by duality, or by F's tangent where F > α."""
    rest = now.square - 2 * now.multiplier * now.along + now.multiplier**2 * now.steep
    dual = now.square + 2 * now.multiplier * (now.loss - alpha) - rest.clamp(min=0)
    tangent = (now.loss + now.along - alpha) / now.steep.sqrt()
    tangent = torch.where(now.loss > alpha, tangent, 0.0)
    return torch.maximum(dual.nan_to_num(0.0).clamp(min=0).sqrt(), tangent)
