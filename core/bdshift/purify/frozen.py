"""Tuning only the last layers: what the first ones give is computed once and kept.

Whatever the images, the layers before the first that is tuned always give the same, so an epoch
costs only the passes through the rest.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from bdshift.errors import UsageError
from bdshift.purify.clean_data import Part
from bdshift.purify.workbench import BATCH, Workbench

_SAME = 1e-4  # relative difference up to which the rest of a network is the rest of it


class _Given(nn.Module):
    """Gives what it was told to, whatever comes in."""

    value: torch.Tensor

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.value


class _Tail(nn.Module):
    """``network`` from its child ``before[-1]`` on, whose output is the input. The children after
    it are the network's own.
    """

    def __init__(self, network: nn.Module, before: list[str]) -> None:
        super().__init__()
        self._given = _Given()
        self._rest = copy.copy(network)
        self._rest._modules = dict(network._modules)  # a copy, for the network keeps all its own
        for name in before:
            setattr(self._rest, name, nn.Identity())
        setattr(self._rest, before[-1], self._given)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self._given.value = features
        found: torch.Tensor = self._rest(features[:, :1, :1, :1])  # which nothing looks at
        return found


def tune_from(bench: Workbench, first: str) -> None:
    """Fix everything before the child ``first`` of the network, batch norms included, and let
    ``bench`` work on its input from now on.

    Raises `UsageError` if there is no such child, or the network is no chain up to it.
    """
    names = [name for name, _ in bench.network.named_children()]
    if first not in names[1:]:
        raise UsageError(f"{first!r} is no layer to tune from; there are {', '.join(names[1:])}")
    before = names[: names.index(first)]
    layer = bench.network.get_submodule(first)
    tail = _Tail(bench.network, before)
    caught: list[torch.Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    bench.network.eval()
    pixels = torch.cat([bench.clean.tune.pixels, bench.clean.held.pixels])
    try:
        with torch.no_grad():
            for number, some in enumerate(pixels.split(BATCH)):
                whole = bench.phi(bench.clean.preprocess(some))
                done = min(len(pixels), (number + 1) * BATCH)
                bench.job.progress("Running the fixed layers", done, len(pixels), "images")
    finally:
        hook.remove()
    _check(bench, tail, caught[-1], whole, first)
    for name in before:
        bench.network.get_submodule(name).requires_grad_(False)
    tuned, held = torch.cat(caught).split([len(bench.clean.tune), len(bench.clean.held)])
    bench.through = tail
    bench.clean = replace(
        bench.clean,
        tune=Part(tuned, bench.clean.tune.labels),
        held=Part(held, bench.clean.held.labels),
        preprocess=lambda features: features,
    )


def _check(
    bench: Workbench, tail: nn.Module, features: torch.Tensor, whole: torch.Tensor, first: str
) -> None:
    """Whether ``tail`` gives φ as the whole network does."""
    bench.through = tail
    try:
        with torch.no_grad():
            found = bench.phi(features)
    except Exception as error:  # whatever a network that is no chain makes of its own layers
        raise UsageError(f"this network cannot be split before {first!r}") from error
    finally:
        bench.through = bench.network
    if found.shape != whole.shape or (found - whole).abs().max() > _SAME * whole.abs().max():
        raise UsageError(f"this network cannot be split before {first!r}: it is no chain of layers")
