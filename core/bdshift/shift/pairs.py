"""Eq. 4 for every pair of a source and a target class: how short the path from one to the other is.

The images of a source are those of its class that the network classifies as labeled: an image that
it already takes for the target says nothing about the way there.

A pair is solved against the target's rivals (`bdshift.shift.pair_newton`). Up to
`_MAX_EXACT_CLASSES` all other classes are rivals, and the norm is exact. With more classes, the
rivals are the `_RIVALS` that the shift meets first. Without the others F is smaller, so that the
norm is a proven lower bound, a few percent short, nearly alike for all pairs: what is compared
among them hardly changes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.jobs import SILENT, JobContext
from bdshift.shift.exact import as_tensor, check_problem
from bdshift.shift.logit_rows import LogitRows
from bdshift.shift.pair_newton import PairProblem, PairSolution, solve_rivals

FEW_CLASSES = 100
"""Up to which all pairs are solved in seconds, with a thousand in minutes."""

_MAX_EXACT_CLASSES = 64
_RIVALS = 12  # with more classes than that
_MAX_VALUES = 4_000_000  # float64 of one array: targets are solved in groups that fit


@dataclass(frozen=True, kw_only=True)
class PairNorms:
    """The length of the shift from every source class to every target class. Arrays are read-only.

    Attributes:
        norm: ‖s_ij‖₂ of the shortest shift that sends the images of source i (row) to target j,
            float64 (C, C); infinite where none can; NaN on the diagonal, for a source without an
            image that is classified as labeled, and where the solver ended early.
        exact: whether the norms are those of the shortest shifts, to a relative 1e-6, not lower
            bounds of them.
        images: used of each source, int64 (C,).
        alpha: the loss threshold α.
        seconds: wall time.
    """

    norm: NDArray[np.float64] = array("C", "C")
    exact: bool
    images: NDArray[np.int64] = array("C", dtype=np.int64)
    alpha: float
    seconds: float

    def __post_init__(self) -> None:
        freeze(self)


def solve_pairs(
    logits: np.ndarray | torch.Tensor,
    labels: NDArray[np.int64],
    weight: np.ndarray | torch.Tensor,
    *,
    alpha: float = 0.1,
    device: torch.device | str = "cpu",
    job: JobContext = SILENT,
) -> PairNorms:
    """The shortest shift from every class to every other.

    Args:
        logits: Z = φWᵀ + b of the clean images, (N, C), any float type.
        labels: class of each image, (N,).
        weight: head W, (C, d).
        alpha: loss threshold α in nats, above 0; from ln 2 on, a pair may need no shift.
        device: where to compute, in float64.
        job: progress (source classes done) and cancellation, checked at every Newton step.

    Raises what `bdshift.shift.exact.solve_exact` does.
    """
    started = time.perf_counter()
    z = LogitRows(logits, device)
    w = as_tensor(weight, torch.float64, device)
    check_problem(z, w, alpha)
    classes = len(w)
    right = np.concatenate([z.block(rows).argmax(1).cpu().numpy() for rows in z.blocks()]) == labels
    centered = w - w.mean(0)
    gram = centered @ centered.T
    exact = classes <= _MAX_EXACT_CLASSES
    rivals = classes - 1 if exact else _RIVALS
    norm = np.full((classes, classes), np.nan)
    images = np.zeros(classes, np.int64)
    for source in range(classes):
        job.progress("Solving pairs of classes", source, classes, "classes")
        shown = z.block(np.flatnonzero(right & (labels == source)))
        images[source] = len(shown)
        if not len(shown):
            continue
        targets = torch.tensor([j for j in range(classes) if j != source], device=z.device)
        each = max(rivals**2, rivals * len(shown), classes)
        for some in targets.split(max(1, _MAX_VALUES // each)):
            found = _solve(shown, some, gram, rivals, alpha, job)
            norm[source, some.cpu().numpy()] = found.norm.cpu().numpy()
    return PairNorms(
        norm=norm, exact=exact, images=images, alpha=alpha, seconds=time.perf_counter() - started
    )


def _solve(
    shown: torch.Tensor, targets: torch.Tensor, gram: torch.Tensor, rivals: int, alpha: float,
    job: JobContext,
) -> PairSolution:  # fmt: skip
    """From the source whose logits are ``shown`` (n, C) to each target (P,); ``gram`` (C, C) is
    that of the centered head.
    """
    chosen = _rivals(shown, targets, gram, rivals, alpha)
    gaps = (shown[:, chosen] - shown[:, targets][:, :, None]).transpose(0, 1).contiguous()
    across = gram[chosen, targets[:, None]]
    between = gram[chosen[:, :, None], chosen[:, None, :]]
    between = between - across[:, :, None] - across[:, None, :]
    between += gram[targets, targets][:, None, None]
    return solve_rivals(PairProblem(gaps, between), alpha, job.raise_if_canceled)


def _rivals(
    shown: torch.Tensor, targets: torch.Tensor, gram: torch.Tensor, count: int, alpha: float
) -> torch.Tensor:
    """The classes that alone would need the longest shift, (P, k): gap to close, by distance."""
    own = gram.diagonal()
    apart = (own[targets, None] + own - 2 * gram[targets]).clamp(min=1e-12 * float(own.max()))
    gap = shown.mean(0) - shown.mean(0)[targets, None] + float(-np.log(alpha))
    length = gap / apart.sqrt()
    length.scatter_(1, targets[:, None], -torch.inf)
    return length.topk(count, 1).indices
