"""A network as a list of named layers and a list of steps, as written by
`bdshift.checkpoints.families.sketch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.families.base import ACTIVATIONS, USUAL

Function = Callable[..., torch.Tensor]
Pair = tuple[int, int]
Same = tuple[Pair, Pair, Pair]
"""Kernel, stride and dilation, for padding to an output of ceil(size / stride)."""


@dataclass(frozen=True)
class NetworkStep:
    """``does`` is the name of a layer, or a function, or None for the activation; the values in
    ``last`` are not needed afterward.
    """

    does: str | Function | None
    inputs: tuple[int, ...]
    output: int
    last: tuple[int, ...] = ()


@dataclass(frozen=True)
class NetworkPlan:
    """A finished sketch: layers by name, and the steps of the forward pass."""

    layers: tuple[tuple[str, Callable[[], nn.Module]], ...]
    steps: tuple[NetworkStep, ...]


class PointwiseHead(nn.Linear):
    """A linear layer that its project writes as a 1×1 convolution after pooling: (C, d, 1, 1) in
    the state dict, (C, d) in use.
    """

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = destination[f"{prefix}weight"][:, :, None, None]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        key = f"{prefix}weight"
        if key in state_dict:
            state_dict[key] = state_dict[key].flatten(1)
        super()._load_from_state_dict(state_dict, prefix, *args)


class Network(nn.Module):
    """A `NetworkPlan`, runnable; ``activation`` is a key of `ACTIVATIONS`."""

    def __init__(self, plan: NetworkPlan, activation: str = USUAL) -> None:
        super().__init__()
        self.steps = plan.steps
        self.activate = ACTIVATIONS[activation]
        for name, make in plan.layers:
            *path, leaf = name.split(".")
            parent: nn.Module = self
            for part in path:
                if part not in parent._modules:
                    parent.add_module(part, nn.Module())
                parent = parent.get_submodule(part)
            parent.add_module(leaf, make())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, H, W)."""
        values = {0: x}
        for step in self.steps:
            inputs = [values[number] for number in step.inputs]
            for number in step.last:
                del values[number]
            if isinstance(step.does, str):
                x = self.get_submodule(step.does)(*inputs)
            else:
                x = (step.does or self.activate)(*inputs)
            values[step.output] = x
        return x


def add(*values: torch.Tensor) -> torch.Tensor:
    """The sum."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def concatenate(*values: torch.Tensor) -> torch.Tensor:
    """Their channels, one after another."""
    return torch.cat(values, 1)


def scale(x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
    """``x`` (n, C, H, W) times a gate (n, C) or (n, C, 1, 1)."""
    return x * (gate if gate.dim() == x.dim() else gate[:, :, None, None])


def slice_channels(x: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """Some of the channels."""
    return x[:, start:stop]


FUNCTIONS: dict[str, Function] = {
    "relu": functional.relu,
    "relu6": functional.relu6,
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
}
"""Activations that are part of an architecture, whatever else is tried."""


def pad_same(x: torch.Tensor, how: Same, value: float = 0.0) -> torch.Tensor:
    """Padded as TensorFlow does for "same": where the padding is odd, more goes to the end."""
    sides: list[int] = []
    for size, kernel, stride, dilation in zip(x.shape[2:], *how, strict=True):
        needed = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1
        total = max(0, needed - size)
        sides = [total // 2, total - total // 2, *sides]
    return functional.pad(x, sides, value=value)
