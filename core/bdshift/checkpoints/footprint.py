"""How much memory an image takes in a network, estimated before it is run."""

from __future__ import annotations

import math

import torch
from torch import nn

from bdshift.devices import free_memory, is_out_of_memory
from bdshift.errors import InputError

UNFIT = (RuntimeError, AssertionError, ValueError, TypeError, IndexError)
"""Errors that networks, ours and others', raise for images of a size or kind that they reject."""

_MAPS_ALIVE = 4  # largest maps in memory at once: the input, the output, the shortcut, and a copy
_MEMORY_DIVISOR = 4  # the free memory divided by this may be used
_PROBE_SIDE = 16  # pixels: the maps of such a small image are not much larger than the weights
_GUESSED_BYTES = 4 * 640  # per input pixel, if it cannot be measured; ResNet-50 needs a third


def bytes_per_image(network: nn.Module, size: int, channels: int = 3) -> int:
    """Bytes of activations for one image of ``size`` pixels, estimated from the largest map of a
    tiny one. For a network that only takes its own size, it is a guess.
    """
    largest = 3 * _PROBE_SIDE * _PROBE_SIDE

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.numel())

    device = next(network.parameters()).device
    probe = torch.zeros(1, channels, _PROBE_SIDE, _PROBE_SIDE, device=device)
    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(probe)
    except UNFIT as error:
        if is_out_of_memory(error):
            raise
        return _GUESSED_BYTES * size * size
    finally:
        for hook in hooks:
            hook.remove()
    return math.ceil(_MAPS_ALIVE * 4 * largest * (size / _PROBE_SIDE) ** 2)


def largest_batch(
    network: nn.Module, size: int, device: torch.device, most: int, channels: int = 3
) -> int:
    """Images per batch, up to ``most``, within a quarter of the free memory.

    Raises `InputError` if not even one fits.
    """
    each, free = bytes_per_image(network, size, channels), free_memory(device)
    batch = min(most, free // _MEMORY_DIVISOR // each)
    if batch < 1:
        raise InputError(
            "one image of {size}×{size} takes {needed:.1f} GiB in this network, too much for "
            "{free:.1f} GiB of free memory",
            size=size, needed=each / 2**30, free=free / 2**30,
        )  # fmt: skip
    return batch
