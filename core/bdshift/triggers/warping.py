"""What both warps share: how far pixels move, and how they are moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bdshift.setting import setting
from bdshift.words import words

if TYPE_CHECKING:
    import torch


def strength_setting() -> Any:
    """How far a warp moves pixels."""
    return setting(
        0.5, words("Strength", ja="強さ"),
        words("How far pixels are moved.", ja="ピクセルを動かす大きさ。"),
        low=0, above=True, high=100, decimals=2, step=0.1,
        source=words("0.5 in the paper.", ja="論文では 0.5。"),
    )  # fmt: skip


def resample(pixels: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Images (n, 3, H, W) resampled at the positions ``field`` (1 or n, H, W, 2), clipped to −1…1;
    bilinear.
    """
    from torch.nn import functional

    field = field.clamp(-1, 1).expand(len(pixels), -1, -1, -1)
    return functional.grid_sample(pixels, field, align_corners=True)
