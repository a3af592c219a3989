"""Eq. 4 as the paper solves it: 200 steps of Adam on each shift, for reproduction.

The paper (Iwahana et al., 2025) specifies Adam, 200 steps and learning rate 0.01, but not how the
constraint was enforced. Here the loss is ‖s‖₂ + 100·max(0, CE − α), starting from s = 0, and of all
steps the shortest shift with CE ≤ α is kept, or the one with the lowest CE if none got there. It
works on cached logits, z + Ws, for all classes at once; the network is not run.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from bdshift.jobs import SILENT, JobContext
from bdshift.shift.exact import as_tensor, check_problem
from bdshift.shift.logit_rows import LogitRows
from bdshift.shift.result import Shifts, Status

STEPS, LEARNING_RATE, PENALTY = 200, 0.01, 100.0


def solve_adam(
    logits: np.ndarray | torch.Tensor,
    weight: np.ndarray | torch.Tensor,
    *,
    alpha: float = 0.1,
    device: torch.device | str = "cpu",
    job: JobContext = SILENT,
) -> Shifts:
    """The paper's approximate shift of every class; arguments and errors as for `solve_exact`.

    ``lower`` is 0 and ``kkt`` NaN: Adam proves nothing. A class whose CE never got down to α is
    "unfinished".
    """
    started = time.perf_counter()
    z = as_tensor(logits, torch.float32, device)
    w = as_tensor(weight, torch.float32, device)
    check_problem(LogitRows(z, z.device), w, alpha)
    classes, d = w.shape
    shift = torch.zeros(classes, d, device=z.device, requires_grad=True)
    best, best_norm, best_loss = shift.detach().clone(), *torch.full((2, classes), torch.inf)
    best_norm, best_loss = best_norm.to(z.device), best_loss.to(z.device)
    optimizer = torch.optim.Adam([shift], LEARNING_RATE)
    for step in range(STEPS + 1):
        job.progress("Solving shifts (Adam)", step, STEPS, "steps")
        with torch.no_grad():
            loss, slope = _losses(z, shift @ w.T, job)
            norm = shift.norm(dim=1)
            feasible = loss <= alpha
            better = torch.where(
                feasible,
                (best_loss > alpha) | (norm < best_norm),
                (best_loss > alpha) & (loss < best_loss),
            )
            best[better], best_norm[better] = shift[better], norm[better]
            best_loss[better] = loss[better]
            unit = shift / norm.clamp_min(torch.finfo(norm.dtype).tiny)[:, None]
            shift.grad = unit + PENALTY * ~feasible[:, None] * (slope @ w)
        if step < STEPS:
            optimizer.step()
    status: tuple[Status, ...] = tuple(
        "unfinished" if value > alpha else "free" if norm == 0 else "solved"
        for value, norm in zip(best_loss.tolist(), best_norm.tolist(), strict=True)
    )
    nothing = np.zeros(classes)
    return Shifts(
        shift=best.double().cpu().numpy(),
        l2=best.double().norm(dim=1).cpu().numpy(),
        loss=best_loss.double().cpu().numpy(),
        lower=nothing,
        kkt=np.full(classes, np.nan),
        multiplier=nothing.copy(),
        status=status,
        alpha=alpha,
        solver="adam",
        iterations=STEPS,
        seconds=time.perf_counter() - started,
    )


def _losses(z: torch.Tensor, t: torch.Tensor, job: JobContext) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean CE of each class under its own shift of the logits ``t`` (C, C): (C,), and its gradient
    in ``t`` (C, C). One class at a time, so that Cancel is prompt.
    """
    loss, slope = t.new_empty(len(t)), torch.empty_like(t)
    for target in range(len(t)):
        job.raise_if_canceled()
        moved = z + t[target]
        log_sum = torch.logsumexp(moved, 1)
        loss[target] = (log_sum - z[:, target]).mean() - t[target, target]
        slope[target] = moved.sub_(log_sum[:, None]).exp_().mean(0)
        slope[target, target] -= 1
    return loss, slope
