"""What layers without weights do, as functions of tensors (n, C, H, W) or (n, features)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch.nn import functional

from bdshift.checkpoints.families.network import Pair, pad_same


def max_pool(x: torch.Tensor, kernel: Pair, stride: Pair, same: bool) -> torch.Tensor:
    """The largest of each window; ``same`` pads as TensorFlow does."""
    if same:
        x = pad_same(x, (kernel, stride, (1, 1)), float("-inf"))
    return functional.max_pool2d(x, kernel, stride)


def average_pool(x: torch.Tensor, kernel: Pair, stride: Pair, same: bool) -> torch.Tensor:
    """The mean of each window, without what is padded."""
    if not same:
        return functional.avg_pool2d(x, kernel, stride)
    how = (kernel, stride, (1, 1))
    count = functional.avg_pool2d(pad_same(torch.ones_like(x[:1]), how), kernel, stride)
    return functional.avg_pool2d(pad_same(x, how), kernel, stride) / count


def flatten_by_pixel(x: torch.Tensor) -> torch.Tensor:
    """(n, H · W · C): as frameworks flatten that keep channels last."""
    return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).flatten(1)


def unflatten_by_pixel(x: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """(n, C, H, W) from the numbers of (n, H, W, C)."""
    height, width, channels = shape
    return x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


def mean_of_pixels(x: torch.Tensor) -> torch.Tensor:
    """(n, C)."""
    return x.mean((2, 3))


def largest_of_pixels(x: torch.Tensor) -> torch.Tensor:
    """(n, C)."""
    return x.amax((2, 3))


def pad_zeros(x: torch.Tensor, sides: tuple[int, int, int, int]) -> torch.Tensor:
    """``sides`` are left, right, top and bottom, in pixels."""
    return functional.pad(x, sides)


def rescale(x: torch.Tensor, scale: tuple[float, ...], offset: tuple[float, ...]) -> torch.Tensor:
    """X · scale + offset, one number or one for each channel."""
    factor, more = (x.new_tensor(part).view(1, -1, 1, 1) for part in (scale, offset))
    return x * factor + more


def multiply(*values: torch.Tensor) -> torch.Tensor:
    """The product."""
    total = values[0]
    for value in values[1:]:
        total = total * value
    return total


def average(*values: torch.Tensor) -> torch.Tensor:
    """The mean of several values."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total / len(values)


def softmax(x: torch.Tensor) -> torch.Tensor:
    """Over the channels."""
    return x.softmax(1)


def clipped_relu(x: torch.Tensor, slope: float, top: float | None) -> torch.Tensor:
    """max(x, slope · x), at most ``top``."""
    x = functional.leaky_relu(x, slope) if slope else functional.relu(x)
    return x if top is None else x.clamp(max=top)


ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "softmax": softmax,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "swish": functional.silu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "relu6": functional.relu6,
    "mish": functional.mish,
    "leaky_relu": partial(functional.leaky_relu, negative_slope=0.2),
}
"""By the names that Keras has for them; "linear" does nothing."""
