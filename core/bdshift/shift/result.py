"""The results of solving Eq. 4: the shifts, and how certain the numbers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bdshift.arrays import array, freeze

Status = Literal["solved", "free", "unreachable", "unfinished"]
"""``free``: no shift is needed. ``unreachable``: no shift (up to ``lower``) suffices.
``unfinished``: stopped before the tolerance; the truth is at least ``lower``, and at most ``l2`` if
``loss`` is at most α."""

Solver = Literal["exact", "adam"]


@dataclass(frozen=True, kw_only=True)
class Shifts:
    """The embedding shift of every class (Eq. 4). Arrays are read-only.

    Attributes:
        shift: s_i, float64 (C, d); zero where unreachable.
        l2: ‖s_i‖₂, float64 (C,); infinite where unreachable.
        loss: mean cross-entropy reached, float64 (C,).
        lower: a proven lower bound of ‖s_i‖₂, float64 (C,); 0 if the solver gives none.
        kkt: relative KKT residual max(‖s + λ∇F‖/‖s‖, |F − α|/α), float64 (C,); NaN if no solution.
        multiplier: λ_i of ½‖s‖² + λ(F − α), float64 (C,).
        status: of each class.
        alpha: the loss threshold α.
        solver: which procedure.
        iterations: Newton steps of the slowest class, or Adam steps.
        seconds: wall time of the solve.
    """

    shift: NDArray[np.float64] = array("C", "d")
    l2: NDArray[np.float64] = array("C")
    loss: NDArray[np.float64] = array("C")
    lower: NDArray[np.float64] = array("C")
    kkt: NDArray[np.float64] = array("C")
    multiplier: NDArray[np.float64] = array("C")
    status: tuple[Status, ...]
    alpha: float
    solver: Solver
    iterations: int
    seconds: float

    def __post_init__(self) -> None:
        freeze(self)

    @property
    def kkt_max(self) -> float:
        """Largest KKT residual of the classes that were solved; NaN if there is none."""
        solved = [r for r, status in zip(self.kkt, self.status, strict=True) if status == "solved"]
        return float(max(solved)) if solved else float("nan")

    @property
    def gap_max(self) -> float:
        """Largest relative duality gap (‖s‖ − lower) / ‖s‖ of the classes that were solved."""
        gaps = [
            (norm - low) / norm
            for norm, low, status in zip(self.l2, self.lower, self.status, strict=True)
            if status == "solved"
        ]
        return float(max(gaps)) if gaps else float("nan")
