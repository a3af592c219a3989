"""Gradients taken near the weights, which FT-SAM and TSBD descend along."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bdshift.checkpoints.recompute import same_statistics
from bdshift.purification.tuning import Forward
from bdshift.purification.workbench import Workbench

_MIN_LENGTH = 1e-12  # so that nothing is divided by zero


def sharp_gradient(
    rho: float, *, adaptive: bool, share: float = 1.0
) -> Callable[[Workbench, Forward], torch.Tensor]:
    """(1 − share)·g(w) + share·g(w + r), where r is the steepest step of length ``rho``: ρ·g/‖g‖,
    or, if ``adaptive``, ρ·w²g/‖|w|g‖ (ASAM, Kwon et al., 2021). The batch norms only remember the
    first pass.
    """

    def gradient(bench: Workbench, forward: Forward) -> torch.Tensor:
        value = forward()
        value.backward()
        weights = [w for w in bench.network.parameters() if w.grad is not None]
        with torch.no_grad():
            first = [w.grad.clone() for w in weights if w.grad is not None]
            scaled = (
                [w.abs() * g for w, g in zip(weights, first, strict=True)] if adaptive else first
            )
            length = torch.stack([g.norm() for g in scaled]).norm() + _MIN_LENGTH
            moves = [
                (w.abs() * g if adaptive else g) * (rho / length)
                for w, g in zip(weights, scaled, strict=True)
            ]
            for weight, move in zip(weights, moves, strict=True):
                weight.add_(move)
                weight.grad = None
        with same_statistics(bench.network):
            forward().backward()
        with torch.no_grad():
            for weight, move, old in zip(weights, moves, first, strict=True):
                weight.sub_(move)
                assert weight.grad is not None
                weight.grad.mul_(share).add_(old, alpha=1 - share)
        return value

    return gradient
