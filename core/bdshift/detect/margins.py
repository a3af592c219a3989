"""How far a class is ahead of all others."""

from __future__ import annotations

import torch


def margins(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The logit of each row's target minus the largest other: of logits (n, C) and targets int64
    (n,), float32 (n,), with gradients.
    """
    own = logits.gather(1, targets[:, None])
    others = logits.scatter(1, targets[:, None], -torch.inf)
    return own[:, 0] - others.amax(1)
