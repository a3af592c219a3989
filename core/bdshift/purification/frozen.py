"""Tunes only the last layers: the output of the first ones is computed once and kept.

The layers before the first tuned one always give the same output for an image, so an epoch costs
only the passes through the rest.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from bdshift.errors import UsageError
from bdshift.purification.clean_data import LabeledImages
from bdshift.purification.workbench import BATCH, Workbench

_MAX_DIFFERENCE = 1e-4  # relative; up to this, φ computed from a layer on counts as the same


class _Given(nn.Module):
    """Returns a preset value, whatever its input."""

    value: torch.Tensor

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        return self.value


class _Tail(nn.Module):
    """The part of ``network`` after its child ``before[-1]``, whose output is the input here. The
    children after it are the network's own.
    """

    def __init__(self, network: nn.Module, before: list[str]) -> None:
        super().__init__()
        self._given = _Given()
        self._rest = copy.copy(network)
        self._rest._modules = dict(network._modules)  # a copy: the network keeps all of its own
        for name in before:
            setattr(self._rest, name, nn.Identity())
        setattr(self._rest, before[-1], self._given)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self._given.value = features
        found: torch.Tensor = self._rest(features[:, :1, :1, :1])  # nothing uses this input
        return found


def tune_from(bench: Workbench, first: str) -> None:
    """Fix everything before the network's child ``first``, including batch norms, and let ``bench``
    work on the input of that child from now on.

    Raises `UsageError` if there is no such child, or the network up to it is not a chain.
    """
    names = [name for name, _ in bench.network.named_children()]
    if first not in names[1:]:
        raise UsageError(
            "{layer} is not a layer to tune from; choose one of {names}",
            layer=repr(first), names=tuple(names[1:]),
        )  # fmt: skip
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
        tune=LabeledImages(tuned, bench.clean.tune.labels),
        held=LabeledImages(held, bench.clean.held.labels),
        preprocess=lambda features: features,
    )


def _check(
    bench: Workbench, tail: nn.Module, features: torch.Tensor, whole: torch.Tensor, first: str
) -> None:
    """Raise `UsageError` unless ``tail`` gives the same φ as the whole network."""
    bench.through = tail
    try:
        with torch.no_grad():
            found = bench.phi(features)
    except Exception as error:  # whatever a network that is not a chain does with its layers
        raise UsageError(
            "this network cannot be split before {layer}", layer=repr(first)
        ) from error
    finally:
        bench.through = bench.network
    if (
        found.shape != whole.shape
        or (found - whole).abs().max() > _MAX_DIFFERENCE * whole.abs().max()
    ):
        raise UsageError(
            "this network cannot be split before {layer}: it is not a chain of layers",
            layer=repr(first),
        )
