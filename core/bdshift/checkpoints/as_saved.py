"""Give a known network the settings of a pickled module's layers: names and shapes of tensors do
not show a changed stride.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from bdshift.checkpoints.chain.exact import activation_of
from bdshift.checkpoints.families import Candidate
from bdshift.checkpoints.families.base import USUAL
from bdshift.checkpoints.objects import SavedLayer
from bdshift.errors import InputError

_COUNTS = ("stride", "dilation", "kernel_size")
_SETTINGS = {
    "Conv2d": ("stride", "padding", "dilation", "padding_mode"),
    "BatchNorm1d": ("eps",),
    "BatchNorm2d": ("eps",),
    "GroupNorm": ("eps",),
    "LayerNorm": ("eps",),
    "MaxPool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "AvgPool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
}
"""By class: settings that its forward pass depends on and that no tensor shows."""

_PADDING_WORDS = ("same", "valid", "zeros", "reflect", "replicate", "circular")
_MAX_EPS = 100.0  # any finite value would be harmless
_MAX_PIXELS = 64  # of padding or stride


@dataclass(frozen=True)
class _Setting:
    path: str
    name: str
    value: Any


def conform(candidates: Sequence[Candidate], layers: Sequence[SavedLayer]) -> list[Candidate]:
    """Of the networks whose tensors fit, those whose layers have the saved settings; if there are
    none, the closest, changed to match. If the module's only activation is not the network's usual
    one, the network with that activation is used.

    Raises `InputError` if a layer has a setting that no layer can have.
    """
    activations = {found for layer in layers if (found := activation_of(layer)) is not None}
    if len(activations) == 1 and USUAL not in activations:
        candidates = [_with_activation(one, next(iter(activations))) for one in candidates]
    networks = {one.name: _built(one) for one in candidates}
    pooled = [one for one in candidates if _pools_as(networks[one.name], layers)]
    differing = [
        (one, tuple(_settings(networks[one.name], layers))) for one in pooled or candidates
    ]
    fewest = min((len(settings) for _, settings in differing), default=0)
    nearest = [(one, settings) for one, settings in differing if len(settings) == fewest]
    if not fewest:
        return [candidate for candidate, _ in nearest]
    changed = [_set_so(candidate, settings) for candidate, settings in nearest]
    for candidate in changed:
        _built(candidate)  # raises here, not later, if the settings contradict each other
    return changed


def _with_activation(candidate: Candidate, activation: str) -> Candidate:
    named = (one for one in candidate.rare if one.name.endswith(f", {activation}"))
    return next(named, candidate)


def _pools_as(network: nn.Module, layers: Sequence[SavedLayer]) -> bool:
    """Whether it pools where the module does: ``maxpool`` may be an Identity in either."""
    modules = dict(network.named_modules())
    kinds = {layer.path: layer.kind.rpartition(".")[2] for layer in layers}
    return all(
        type(module).__name__ == kinds.get(path, type(module).__name__)
        for path, module in modules.items()
        if isinstance(module, (nn.MaxPool2d, nn.Identity))
    )


def _settings(network: nn.Module, layers: Sequence[SavedLayer]) -> Iterator[_Setting]:
    """The settings in which the saved layers differ from the network's layers of the same path and
    class.
    """
    modules = dict(network.named_modules())
    for layer in layers:
        module, kind = modules.get(layer.path), layer.kind.rpartition(".")[2]
        if module is None or type(module).__name__ != kind:
            continue
        for name in _SETTINGS.get(kind, ()):
            saved = layer.settings.get(name)
            if saved is None or _pair(saved) == _pair(getattr(module, name)):
                continue
            if not _is_possible(name, saved):
                raise InputError(
                    "its layer {layer} has {setting} {value}, which no layer can have",
                    layer=layer.path, setting=name, value=str(saved),
                )  # fmt: skip
            yield _Setting(layer.path, name, saved)


def _pair(value: Any) -> Any:
    """2 and (2, 2) are the same stride."""
    return (value, value) if type(value) is int else value


def _is_possible(name: str, value: Any) -> bool:
    if name == "eps":
        return isinstance(value, float) and 0 <= value <= _MAX_EPS
    if name in ("ceil_mode", "count_include_pad"):
        return isinstance(value, bool)
    if isinstance(value, str):
        return value in _PADDING_WORDS
    pair = _pair(value)
    least = 1 if name in _COUNTS else 0
    return isinstance(pair, tuple) and all(
        type(n) is int and least <= n <= _MAX_PIXELS for n in pair
    )


def _built(candidate: Candidate) -> nn.Module:
    if candidate.computes:
        return candidate.build()
    with torch.device("meta"):
        return candidate.build()


def _set_so(candidate: Candidate, settings: Sequence[_Setting]) -> Candidate:
    count = len({setting.path for setting in settings})
    layers = f"{count} layers" if count > 1 else f"layer {settings[0].path}"
    return replace(
        candidate,
        name=f"{candidate.name}, {layers} set as in the file",
        build=partial(_build, candidate.build, tuple(settings)),
        rare=tuple(_set_so(one, settings) for one in candidate.rare),
    )


def _build(build: Callable[[], nn.Module], settings: Sequence[_Setting]) -> nn.Module:
    network = build()
    for setting in settings:
        module = network.get_submodule(setting.path)
        if isinstance(module, nn.Conv2d):
            network.set_submodule(setting.path, _convolution(module, setting))
        else:
            setattr(module, setting.name, setting.value)
    return network


def _convolution(old: nn.Conv2d, setting: _Setting) -> nn.Conv2d:
    """Rebuilt, because a convolution derives more from its padding when it is constructed."""
    settings: dict[str, Any] = {name: getattr(old, name) for name in _SETTINGS["Conv2d"]}
    settings |= {"groups": old.groups, setting.name: setting.value}
    bias = old.bias is not None
    return nn.Conv2d(old.in_channels, old.out_channels, old.kernel_size, bias=bias, **settings)  # type: ignore[arg-type]
