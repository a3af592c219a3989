"""What the network saw, small: kept with an embedding, and so with an audit."""

from __future__ import annotations

import torch
from torch.nn import functional

THUMBNAIL = 48
"""Largest side of a thumbnail, in pixels."""


def shrink(images: torch.Tensor) -> torch.Tensor:
    """Images (n, 3, s, s) in 0…255 as thumbnails, uint8, at most `THUMBNAIL` pixels per side."""
    if images.shape[-1] > THUMBNAIL:
        images = functional.interpolate(images.float(), THUMBNAIL, mode="area").round_()
    return images.to(torch.uint8, memory_format=torch.contiguous_format)
