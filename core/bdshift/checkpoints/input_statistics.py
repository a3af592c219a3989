"""What a network remembers of its training images: the statistics of its first batch norm.

They were averaged over training batches after the augmentation, the preprocessing and the first
convolution. The right mean, std and channel order reproduce them on a few hundred clean images,
without labels, where accuracy needs thousands of images to distinguish std 0.247 from 0.2673.

Preprocessing and convolution are linear in the pixels under the kernel and in a mask that is one
inside the image. So their first and second moments are computed once for each kind of convolution,
and a candidate's mean and variance follow from them: dozens of candidates cost no more than one.

Small images are usually trained with random crops from a padded frame, which lowers their variance
by about 13%, as much as the difference between those two. So the statistics are also compared under
such crops, with the frame black (padded before normalization) and gray (after), and the closest
match counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.footprint import UNFIT
from bdshift.images.augment import random_translation
from bdshift.images.preprocessing import LUMA, Preprocessing, arranged

_CROPPED_BELOW = 128  # pixels per side; smaller images are trained with padded crops
_MAX_SMALL_IMAGES, _MAX_LARGE_IMAGES = 300, 60
_CHUNK_BYTES = 64 * 1024 * 1024
_CENTER = 0.45  # near every mean, so that the variance is not a difference of large numbers


class _FirstNorm(Exception):
    """Ends a forward pass at the first batch norm."""

    def __init__(self, norm: nn.BatchNorm2d, value: torch.Tensor) -> None:
        super().__init__()
        self.norm, self.value = norm, value


def _stop(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
    raise _FirstNorm(norm, inputs[0])


def _entry(network: nn.Module, size: int, channels: int) -> tuple[nn.Conv2d, nn.BatchNorm2d] | None:
    """The first convolution and batch norm, if the image goes straight through one to the other;
    otherwise, or if the network does not take this size, None.
    """
    image = torch.zeros(1, channels, size, size, device=next(network.parameters()).device)
    seen: list[tuple[nn.Conv2d, torch.Tensor, torch.Tensor]] = []

    def note(conv: nn.Conv2d, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        seen.append((conv, inputs[0], output))

    hooks = [
        module.register_forward_hook(note)
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(_stop)
        for module in network.modules()
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))
    ]
    try:
        with torch.inference_mode():
            network(image)
    except _FirstNorm as found:
        if len(seen) == 1 and seen[0][1] is image and seen[0][2] is found.value:
            conv, norm = seen[0][0], found.norm
            tracked = norm.running_mean is not None and norm.running_var is not None
            if tracked and conv.groups == 1 and conv.padding_mode == "zeros":
                return conv, norm
    except UNFIT:
        return None
    finally:
        for hook in hooks:
            hook.remove()
    return None


@dataclass(frozen=True)
class _Moments:
    """Mean (4k²,) and mean product (4k², 4k²), float64, of what is under a k × k kernel: three
    colors, less `_CENTER`, and the mask.
    """

    mean: torch.Tensor
    product: torch.Tensor


def _moments(planes: torch.Tensor, conv: nn.Conv2d) -> _Moments:
    """Moments of ``planes`` (n, 4, s, s) over every position of the kernel of ``conv``."""
    kernel, padding = conv.kernel_size, conv.padding
    assert isinstance(padding, tuple), "padding is given by name"
    features = 4 * kernel[0] * kernel[1]
    total = torch.zeros(features, dtype=torch.float64, device=planes.device)
    product = torch.zeros(features, features, dtype=torch.float64, device=planes.device)
    each = 4 * features * (planes.shape[-1] // conv.stride[0] + 1) ** 2
    places = 0
    for part in planes.split(max(1, _CHUNK_BYTES // each)):
        columns = functional.unfold(part, kernel, conv.dilation, padding, conv.stride)
        rows = columns.transpose(1, 2).reshape(-1, features)
        places += len(rows)
        total += rows.sum(0, dtype=torch.float64)
        product += (rows.T @ rows).double()
    return _Moments(total / places, product / places)


class InputStatistics:
    """Compares networks' statistics with images; ``pixels`` returns the images at an input size, as
    uint8 (n, 3, size, size) in random order.
    """

    def __init__(self, pixels: Callable[[int], NDArray[np.uint8]]) -> None:
        self._pixels = pixels
        self._known: dict[tuple[object, ...], list[_Moments]] = {}

    def mismatch(self, network: nn.Module, preprocess: Preprocessing) -> float | None:
        """How far the preprocessed images are from those that the network was trained on.

        Mean over the channels of the first batch norm of (μ − running mean)² / running var +
        (log var − log running var)²; below 0.02 is a match, above 1 another preprocessing. None if
        the network has no such batch norm right after its first convolution.
        """
        found = _entry(network, preprocess.size, preprocess.channels)
        if found is None or isinstance(found[0].padding, str):
            return None
        conv, norm = found
        weight = _on_patches(conv, preprocess)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, variance = norm.running_mean.double(), norm.running_var.double().clamp(min=1e-12)
        values = []
        for moments in self._of(conv, preprocess):
            center = weight @ moments.mean
            spread = ((weight @ moments.product) * weight).sum(1) - center.square()
            if conv.bias is not None:
                center = center + conv.bias.detach().double()
            moved = (center - mean).square() / variance
            scaled = (spread.clamp(min=1e-12) / variance).log().square()
            values.append(float((moved + scaled).mean()))
        return min(values)

    def _of(self, conv: nn.Conv2d, preprocess: Preprocessing) -> list[_Moments]:
        device, size = conv.weight.device, preprocess.size
        reshaped = preprocess.order.endswith("reshaped")
        key = (size, reshaped, conv.kernel_size, conv.stride, conv.padding, conv.dilation, device)
        if key not in self._known:
            count = _MAX_SMALL_IMAGES if size < _CROPPED_BELOW else _MAX_LARGE_IMAGES
            pixels = torch.from_numpy(self._pixels(size)[:count]).to(device)
            if reshaped:
                pixels = arranged(pixels, "rgb-reshaped")
            self._known[key] = [_moments(planes, conv) for planes in _as_trained(pixels)]
        return self._known[key]


def _as_trained(pixels: torch.Tensor) -> Iterator[torch.Tensor]:
    """Colors and mask (n, 4, s, s), float32: as they are, and as random crops of a padded frame,
    once with the frame counted as image and black, once counted as outside.
    """

    def planes(images: torch.Tensor) -> torch.Tensor:
        colors = images.float() / 255 - _CENTER
        return torch.cat([colors, torch.ones_like(colors[:, :1])], 1)

    yield planes(pixels)
    size = pixels.shape[-1]
    if size < _CROPPED_BELOW:
        reach = size // 8
        yield planes(random_translation(pixels, reach, torch.Generator().manual_seed(0)))
        yield random_translation(planes(pixels), reach, torch.Generator().manual_seed(0))


def _on_patches(conv: nn.Conv2d, preprocess: Preprocessing) -> torch.Tensor:
    """The convolution's weights for colors and mask instead of preprocessed pixels: float64
    (channels out, 4k²).
    """
    n = preprocess.normalization
    weight = conv.weight.detach().double()
    channels = preprocess.channels
    std = weight.new_tensor(n.std[:channels]).view(1, -1, 1, 1)
    mean = weight.new_tensor(n.mean[:channels]).view(1, -1, 1, 1)
    slope = 255 / (n.divisor * std)  # of x' in x / 255
    colors = weight * slope
    mask = (weight * (slope * _CENTER - mean / std)).sum(1, keepdim=True)
    if preprocess.order == "gray":
        colors = colors * weight.new_tensor(LUMA).view(1, 3, 1, 1)
    elif preprocess.order.startswith("bgr"):
        colors = colors.flip(1)
    return torch.cat([colors, mask], 1).flatten(1)
