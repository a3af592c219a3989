"""How much memory an image takes on its way through a network, found out before it is sent."""

from __future__ import annotations

import math

import torch
from torch import nn

from bdshift.devices import free_memory, is_out_of_memory
from bdshift.errors import InputError

UNFIT = (RuntimeError, AssertionError, ValueError, TypeError, IndexError)
"""What networks raise, ours and others', for images of a size or kind that they do not take."""

_ALIVE = 4  # maps of the largest size that may be in memory at once: in, out, past, and a copy
_SHARE = 4  # one part in so many of the free memory may be taken
_PROBE = 16  # pixels a side: so small an image's maps are not much larger than the weights
_GUESS = 4 * 640  # bytes an input pixel where it cannot be measured; a ResNet-50 needs a third


def bytes_per_image(network: nn.Module, size: int, channels: int = 3) -> int:
    """Bytes of activations for one image of ``size`` pixels, estimated from the largest map of a
    tiny one. A network that takes no other size than its own gets a guess.
    """
    largest = 3 * _PROBE * _PROBE

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.numel())

    probe = torch.zeros(1, channels, _PROBE, _PROBE, device=next(network.parameters()).device)
    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(probe)
    except UNFIT as error:
        if is_out_of_memory(error):
            raise
        return _GUESS * size * size
    finally:
        for hook in hooks:
            hook.remove()
    return math.ceil(_ALIVE * 4 * largest * (size / _PROBE) ** 2)


def largest_batch(
    network: nn.Module, size: int, device: torch.device, most: int, channels: int = 3
) -> int:
    """Images at a time, up to ``most``, within a quarter of the free memory.

    Raises `InputError` if not even one fits.
    """
    each, free = bytes_per_image(network, size, channels), free_memory(device)
    batch = min(most, free // _SHARE // each)
    if batch < 1:
        raise InputError(
            f"one image of {size}×{size} takes {each / 2**30:.1f} GiB in this network, too much "
            f"for the {free / 2**30:.1f} GiB that are free"
        )
    return batch
