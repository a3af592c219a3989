"""The paper's solver: its gradients and its steps, against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from bdshift.jobs import SILENT
from bdshift.shift import adam
from bdshift.shift.adam import LEARNING_RATE, PENALTY, solve_adam

IMAGES, DIM, CLASSES, ALPHA = 40, 6, 5, 0.9


def problem(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, C) and head (C, d), float64."""
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(IMAGES, CLASSES, generator=rng, dtype=torch.float64)
    return logits, torch.randn(CLASSES, DIM, generator=rng, dtype=torch.float64)


def losses(logits: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Mean CE of each class under its own shift ``moved`` (C, C) of the logits, with gradients."""
    targets = torch.arange(CLASSES).repeat(IMAGES, 1)
    return torch.stack(
        [functional.cross_entropy(logits + moved[t], targets[:, t]) for t in range(CLASSES)]
    )


@pytest.mark.parametrize("seed", range(3))
def test_its_gradient_is_autograds(seed: int) -> None:
    logits, weight = problem(seed)
    rng = torch.Generator().manual_seed(seed + 100)
    moved = torch.randn(CLASSES, DIM, generator=rng, dtype=torch.float64) @ weight.T
    moved.requires_grad_()
    expected = losses(logits, moved)
    (slope,) = torch.autograd.grad(expected.sum(), [moved])
    found, gradient = adam._losses(logits, moved.detach(), SILENT)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert torch.allclose(gradient, slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("steps", [1, 60])
def test_its_steps_are_autograds(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's loss written down, differentiated by torch; of all steps the best is kept."""
    logits, weight = (part.float() for part in problem(0))
    shift = torch.zeros(CLASSES, DIM, requires_grad=True)
    optimizer = torch.optim.Adam([shift], LEARNING_RATE)
    tried = []
    for _ in range(steps + 1):
        norm, loss = shift.norm(dim=1), losses(logits, shift @ weight.T)
        tried.append((shift.detach().clone(), norm.detach().clone(), loss.detach()))
        optimizer.zero_grad()
        (norm + PENALTY * (loss - ALPHA).relu()).sum().backward()
        optimizer.step()
    monkeypatch.setattr(adam, "STEPS", steps)
    found = solve_adam(logits, weight, alpha=ALPHA)
    for target in range(CLASSES):
        feasible = [one for one in tried if one[2][target] <= ALPHA]
        by = 1 if feasible else 2
        expected, norm, loss = min(feasible or tried, key=lambda one: float(one[by][target]))
        assert np.allclose(found.shift[target], expected[target].numpy(), rtol=1e-4, atol=1e-5)
        assert found.l2[target] == pytest.approx(norm[target].item(), rel=1e-4, abs=1e-6)
        assert found.loss[target] == pytest.approx(loss[target].item(), rel=1e-4)
    if steps == 60:
        assert "solved" in found.status, "the constraint, and with it the penalty, went on and off"
