"""Solves Eq. 4 with the chosen solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.jobs import SILENT, JobContext
from bdshift.shift.adam import solve_adam
from bdshift.shift.exact import solve_exact
from bdshift.shift.result import Shifts, Solver

SOLVERS: Mapping[Solver, Callable[..., Shifts]] = {"exact": solve_exact, "adam": solve_adam}


def solve(
    logits: NDArray[np.float32],
    weight: NDArray[np.float32],
    *,
    alpha: float = 0.1,
    solver: Solver = "exact",
    device: torch.device | None = None,
    job: JobContext = SILENT,
) -> Shifts:
    """The shift to every class, from logits (N, C) and the head (C, d); on the CPU if the device
    has no float64 (MPS). Raises what `solve_exact` does.
    """
    where = "cpu" if device is None or device.type == "mps" else device
    return SOLVERS[solver](logits, weight, alpha=alpha, device=where, job=job)
