"""Where in the image a neuron looks: its feature map before pooling, its tokens, or Grad-CAM."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bdshift.checkpoints.classifier import Classifier, to_head
from bdshift.errors import InputError
from bdshift.words import words

MapKind = Literal["pooled", "tokens", "gradient"]

MAP_KINDS: dict[MapKind, str] = {
    "pooled": words("Its feature map before pooling: brighter is stronger.",
                    ja="プーリング前の特徴マップです。明るいほど強く反応しています。"),
    "tokens": words("Its value in the token of each patch: brighter is stronger.",
                    ja="各パッチのトークンでの値です。明るいほど強く反応しています。"),
    "gradient": words("Grad-CAM, since its value is no mean of a map: brighter raises it more.",
                      ja="値がマップの平均ではないため、Grad-CAM で示します。"
                         "明るいほど値を高めています。"),
}  # fmt: skip
"""What each kind of map shows."""

_MAX_DIFFERENCE = 1e-3  # relative; up to this, a pooled map or a token counts as the embedding
_TINY_SCALE = 1e-12
_MAX_EXTRA_TOKENS = 8  # class token, distillation token, registers


@dataclass(frozen=True)
class NeuronMaps:
    """Where neurons look: float32 (n, h, w), the mean over the neurons, and what kind it is."""

    values: NDArray[np.float32]
    kind: MapKind


def neuron_maps(classifier: Classifier, images: torch.Tensor, neurons: Sequence[int]) -> NeuronMaps:
    """Maps of ``neurons``, indices into the embedding, for preprocessed ``images`` (n, 3, s, s).

    The last map with d channels whose mean, or that of whose ReLU, is the embedding (``pooled``).
    Else, if the embedding is one of the last tokens, or their mean, the values of the tokens of the
    patches (``tokens``). Else Grad-CAM at the last layer that still has places, on which the
    neurons depend (``gradient``; Selvaraju et al. 2017).

    Raises `InputError` if no layer has places, as in a network without convolutions or tokens.
    """
    wanted = torch.as_tensor(list(neurons), device=images.device)
    seen, phi = _forward(classifier, images, slopes=False)
    scale = phi.abs().max().clamp(min=_TINY_SCALE)

    def same(one: torch.Tensor) -> bool:
        return bool((one - phi).abs().max() <= _MAX_DIFFERENCE * scale)

    for kind, found in _exact(seen, phi, same):
        return _made(found[:, wanted].mean(1), kind)
    del seen  # gradients need a pass, and memory, of their own
    seen, phi = _forward(classifier, images, slopes=True)
    chosen, still = phi[:, wanted].mean(1).sum(), None
    for layer in reversed(seen):
        maps = _as_maps(layer, len(phi))
        if maps is None or not layer.requires_grad:
            continue
        still = maps if still is None else still
        [slope] = torch.autograd.grad(chosen, layer, retain_graph=True, allow_unused=True)
        slopes = None if slope is None else _as_maps(slope, len(phi))
        if slopes is not None and bool(slopes.any()):
            weight = slopes.mean((2, 3), keepdim=True)
            return _made((weight * maps).sum(1).relu(), "gradient")
    if still is not None:  # the neurons are off in these images, whatever is in them
        return _made(torch.zeros_like(still[:, 0]), "gradient")
    raise InputError("{path}: none of its layers has places to look at", path=classifier.path)


def _made(values: torch.Tensor, kind: MapKind) -> NeuronMaps:
    return NeuronMaps(values.detach().float().cpu().numpy(), kind)


def _forward(
    classifier: Classifier, images: torch.Tensor, *, slopes: bool
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """What the layers return, in order, and φ; with gradients if ``slopes``."""
    seen: list[torch.Tensor] = []

    def note(_module: nn.Module, _inputs: object, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, torch.Tensor) and first.dim() in (3, 4):
            seen.append(first)

    hooks = [module.register_forward_hook(note) for module in classifier.network.modules()]
    try:
        with torch.set_grad_enabled(slopes):
            given = images.detach().requires_grad_(slopes).clone()  # it may be changed in place
            caught, _ = to_head(classifier.network, classifier.head, given)
    finally:
        for hook in hooks:
            hook.remove()
    return seen, caught[0]


def _exact(
    seen: list[torch.Tensor], phi: torch.Tensor, same: Any
) -> Iterator[tuple[MapKind, torch.Tensor]]:
    """Maps (n, d, h, w) of all neurons that are the embedding, pooled or token by token."""
    count, width = phi.shape
    for found in reversed(seen):
        if found.dim() == 4:
            for maps in (found, found.permute(0, 3, 1, 2)):  # channels first or last
                if maps.shape[:2] != phi.shape or maps.shape[2] * maps.shape[3] < 2:
                    continue
                for one in (maps, maps.relu()):
                    if same(one.mean((2, 3))):
                        yield "pooled", one
        elif (tokens := _by_image(found, count)) is not None and tokens.shape[2] == width:
            own = same(tokens[:, 0]) or same(tokens.mean(1)) or same(tokens[:, 1:].mean(1))
            patches = _patches(tokens)
            if own and patches is not None:
                yield "tokens", patches


def _by_image(found: torch.Tensor, count: int) -> torch.Tensor | None:
    """Tokens as (n, t, d): some networks put the images second."""
    if found.shape[0] == count:
        return found
    return found.transpose(0, 1) if found.shape[1] == count else None


def _patches(tokens: torch.Tensor) -> torch.Tensor | None:
    """The last tokens that make a square, as maps (n, d, h, h); what is before them are a class's
    and registers. None if there is no such square of at least 2×2.
    """
    side = math.isqrt(tokens.shape[1])
    if side < 2 or tokens.shape[1] - side * side > _MAX_EXTRA_TOKENS:
        return None
    return tokens[:, -side * side :].transpose(1, 2).unflatten(2, (side, side))


def _as_maps(found: torch.Tensor, count: int) -> torch.Tensor | None:
    """What a layer returned as maps (n, c, h, w) of at least 2×2; None if it has no places."""
    if found.dim() == 3:
        tokens = _by_image(found, count)
        return None if tokens is None else _patches(tokens)
    if found.shape[2] != found.shape[3] and found.shape[1] == found.shape[2]:
        found = found.permute(0, 3, 1, 2)  # channels last: images are squares
    return found if found.shape[0] == count and found.shape[2] * found.shape[3] >= 4 else None
