"""Other versions of an image that show the same."""

from __future__ import annotations

import torch


def augmented(pixels: torch.Tensor, seed: int) -> torch.Tensor:
    """Images uint8 (n, 3, s, s), each under AutoAugment's policy for CIFAR-10, from ``seed``."""
    from torchvision.transforms.v2 import AutoAugment, AutoAugmentPolicy

    change = AutoAugment(AutoAugmentPolicy.CIFAR10)
    # It draws from the global generator.
    with torch.random.fork_rng([pixels.device] if pixels.is_cuda else []):
        torch.manual_seed(seed)
        return torch.stack([change(one) for one in pixels])
