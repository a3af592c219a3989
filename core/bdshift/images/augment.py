"""The one augmentation that both training and its later analysis need: random translation."""

from __future__ import annotations

import torch
from torch.nn import functional

from bdshift.devices import sent


def random_translation(images: torch.Tensor, reach: int, rng: torch.Generator) -> torch.Tensor:
    """Move each image by its own random offset of up to ``reach`` pixels; the gap is filled with
    zeros.

    Images (n, 3, s, s) of any type, on any device; ``rng`` is a CPU generator. Returns the same
    shape, channels-last.
    """
    count, size = len(images), images.shape[-1]
    padded = functional.pad(images, (reach,) * 4)
    move = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=rng)
    y, x = sent(move, images.device) + torch.arange(size, device=images.device)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)
