"""What a network remembers of its training images: the statistics of its first batch norm.

They were averaged over training batches as they came out of the augmentation, the preprocessing and
the first convolution. The right mean, std and channel order reproduce them on a few hundred clean
images, for the price of one layer and without labels, where accuracy needs thousands of images to
tell std 0.247 from 0.2673.

Small images are usually trained with random crops from a padded frame, which lowers their variance
by some 13 %, as much as lies between those two. So the statistics are also compared under such
crops, with the frame black (padded before normalisation) and grey (after), and the nearest counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from bdshift.images.augment import random_shift
from bdshift.images.preprocessing import Preprocessing

SMALL = 128
"""Sides below this are trained with padded crops."""


class _FirstNorm(Exception):
    """Ends a forward pass at the first batch norm."""

    def __init__(self, module: nn.BatchNorm2d, value: torch.Tensor) -> None:
        super().__init__()
        self.module, self.value = module, value


def _stop(module: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
    raise _FirstNorm(module, inputs[0])


def _mismatch(network: nn.Module, images: torch.Tensor) -> float | None:
    try:
        network(images)
    except _FirstNorm as found:
        value, norm = found.value.double(), found.module
        if norm.running_mean is None or norm.running_var is None:
            return None
        mean, variance = norm.running_mean.double(), norm.running_var.double().clamp(min=1e-12)
        moved = (value.mean((0, 2, 3)) - mean).square() / variance
        scaled = (value.var((0, 2, 3)).clamp(min=1e-12) / variance).log().square()
        return float((moved + scaled).mean())
    return None


def _as_trained(pixels: torch.Tensor, preprocess: Preprocessing) -> Iterator[torch.Tensor]:
    yield preprocess(pixels)
    if preprocess.size < SMALL:
        reach = preprocess.size // 8
        yield preprocess(random_shift(pixels, reach, torch.Generator().manual_seed(0)))
        yield random_shift(preprocess(pixels), reach, torch.Generator().manual_seed(0))


def input_mismatch(
    network: nn.Module, pixels: torch.Tensor, preprocess: Preprocessing
) -> float | None:
    """How far ``pixels`` (n, 3, size, size), preprocessed, are from the images of the training.

    Mean over the channels of the first batch norm of (μ − running mean)² / running var +
    (log var − log running var)²; under 0.02 is a match, above 1 another preprocessing. None if the
    network has no batch norm with running statistics.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_stop) for norm in norms]
    try:
        with torch.inference_mode():
            found = [_mismatch(network, images) for images in _as_trained(pixels, preprocess)]
    finally:
        for hook in hooks:
            hook.remove()
    return min((value for value in found if value is not None), default=None)
