"""The small network that Input-aware and LIRA paint their triggers with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from bdshift.errors import InputError

_MAX_WIDTH = 256  # channels of the first layer
_GROUPS = 4


def _block(given: int, made: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, 3, stride, 1), nn.GroupNorm(_GROUPS, made), nn.ReLU()
    )


class Painter(nn.Module):
    """Images (n, 3, H, W) in 0…255 → (n, ``planes``, H, W), unbounded.

    Down to a quarter of the side and up again. The published networks are larger and have batch
    norms, whose output depends on what else is in the batch, and on whether someone forgot eval
    mode; norms over groups of an image's own channels depend on neither.
    """

    def __init__(self, planes: int, width: int = 16) -> None:
        super().__init__()
        self.first = _block(3, width)
        self.halved = _block(width, 2 * width, 2)
        self.quartered = _block(2 * width, 4 * width, 2)
        self.middle = _block(4 * width, 4 * width)
        self.up = _block(4 * width, 2 * width)
        self.last = _block(2 * width, width)
        self.paint = nn.Conv2d(width, planes, 3, padding=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What is painted for each image."""
        first = self.first(pixels / 127.5 - 1)
        half = self.halved(first)
        deep = self.middle(self.quartered(half))
        deep = self.up(functional.interpolate(deep, half.shape[2:], mode="bilinear"))
        deep = self.last(functional.interpolate(deep, first.shape[2:], mode="bilinear"))
        painted: torch.Tensor = self.paint(deep)
        return painted.float()  # bfloat16 in training


def painter_from(weights: Mapping[str, torch.Tensor], planes: int) -> Painter:
    """A painter with these weights; its width is read from them.

    Raises `InputError` if they are not those of a painter with that many planes, or not finite.
    """
    first = weights.get("first.0.weight")
    if first is None or first.ndim != 4 or first.shape[0] % _GROUPS:
        raise InputError("it holds no painter")
    if first.shape[0] > _MAX_WIDTH or not all(
        bool(value.isfinite().all()) for value in weights.values()
    ):
        raise InputError("its painter is too wide, or has weights that are not finite")
    painter = Painter(planes, first.shape[0])
    try:
        painter.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError("its painter has other layers") from error
    return painter.requires_grad_(False)
