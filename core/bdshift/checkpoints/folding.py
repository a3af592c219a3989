"""Weights stored in a file as a product of several tensors are folded into the one that is used.

============================================  ======================================  ============
keys                                          by                                      weight
============================================  ======================================  ============
``weight_orig``, ``weight_mask``              torch.nn.utils.prune (Fine-Pruning)     orig · mask
``weight_g``, ``weight_v``                    torch.nn.utils.weight_norm              g · v / ‖v‖
``parametrizations.weight.original0, 1``      the newer weight_norm                   g · v / ‖v‖
``weight_orig``, ``weight_u``, ``weight_v``   torch.nn.utils.spectral_norm            W / uᵀWv
``parametrizations.weight.original``,         the newer spectral_norm                 W / uᵀWv
``….weight.0._u``, ``….weight.0._v``
============================================  ======================================  ============
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import UsageError

if TYPE_CHECKING:
    import torch


def _masked(orig: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return orig * mask.to(orig.dtype)


def _normed(scale: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    norms = direction.flatten(1).norm(dim=1)
    return direction * (scale.flatten() / norms).view(-1, *[1] * (direction.dim() - 1))


def _spectral(orig: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return orig / (u @ orig.flatten(1) @ v)


_KINDS: tuple[tuple[str, tuple[str, ...], int, Callable[..., torch.Tensor]], ...] = (
    ("mask", ("{}_orig", "{}_mask"), 0, _masked),
    ("spectral norm", ("weight_orig", "weight_u", "weight_v"), 0, _spectral),
    (
        "spectral norm",
        (
            "parametrizations.weight.original",
            "parametrizations.weight.0._u",
            "parametrizations.weight.0._v",
        ),
        0,
        _spectral,
    ),
    ("weight norm", ("weight_g", "weight_v"), 1, _normed),
    (
        "weight norm",
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
        1,
        _normed,
    ),
)


def fold(
    tensors: Mapping[str, LazyTensor],
) -> tuple[dict[str, LazyTensor], dict[str, tuple[str, tuple[str, ...]]]]:
    """The state dict with such weights folded, in its order; and for each folded weight, by its
    key, the way it was folded and the keys that it was made from.
    """
    made: dict[str, tuple[str, tuple[str, ...]]] = {}
    replaced: dict[str, str] = {}
    found: dict[str, LazyTensor] = {}
    for kind, patterns, like, compute in _KINDS:
        first = patterns[0]
        for key in tensors:
            base, name = _split(key, first)
            if name is None or f"{base}{name}" in made:
                continue
            parts = tuple(base + pattern.format(name) for pattern in patterns)
            if not _fit(kind, [tensors.get(part) for part in parts], like):
                continue
            lazies = [tensors[part] for part in parts]
            shape, dtype = lazies[like].shape, lazies[like].dtype
            made[base + name] = kind, parts
            found[base + name] = LazyTensor(shape, dtype, _Folded(lazies, compute))
            replaced.update(dict.fromkeys(parts, base + name))
    folded: dict[str, LazyTensor] = {}
    for key, tensor in tensors.items():
        if key in replaced:
            folded.setdefault(replaced[key], found[replaced[key]])
        else:
            folded[key] = tensor
    return folded, made


def unfold(way: str, keys: tuple[str, ...], weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """Factors, by ``keys``, whose product in this ``way`` is ``weight``.

    Raises `UsageError` for spectral norms, whose factors fit no other weight.
    """
    import torch

    if way == "mask":
        return dict(zip(keys, (weight, torch.ones_like(weight)), strict=True))
    if way == "weight norm":
        norms = weight.flatten(1).norm(dim=1).view(-1, *[1] * (weight.dim() - 1))
        return dict(zip(keys, (norms, weight), strict=True))
    raise UsageError("weights under spectral norm cannot be written in their original format")


def _split(key: str, pattern: str) -> tuple[str, str | None]:
    """("layer1.", "weight") of "layer1.weight_orig" and "{}_orig"; None if it is another key."""
    if "{}" in pattern:
        suffix = pattern.removeprefix("{}")
        if not key.endswith(suffix):
            return "", None
        base, dot, name = key.removesuffix(suffix).rpartition(".")
        return base + dot, name or None
    if key != pattern and not key.endswith("." + pattern):
        return "", None
    return key.removesuffix(pattern), "weight"


def _fit(kind: str, parts: list[LazyTensor | None], like: int) -> bool:
    if any(part is None for part in parts):
        return False
    shapes = [part.shape for part in parts if part is not None]
    weight = shapes[like]
    if kind == "mask":
        return shapes[1] == weight
    if len(weight) < 2 or 0 in weight:
        return False
    if kind == "weight norm":
        return shapes[0] in ((weight[0],), (weight[0],) + (1,) * (len(weight) - 1))
    rest = 1
    for size in weight[1:]:
        rest *= size
    return shapes[1] == (weight[0],) and shapes[2] == (rest,)


class _Folded:
    """Reads the parts and computes the weight."""

    def __init__(self, parts: list[LazyTensor], compute: Callable[..., torch.Tensor]) -> None:
        self.parts, self.compute = parts, compute

    def __call__(self) -> torch.Tensor:
        return self.compute(*(part.load() for part in self.parts)).contiguous()
