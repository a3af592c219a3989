"""What an image costs in a network, in memory, work and time, and how many to run at a time.

The answer never depends on how long anything took: the size of a batch decides how sums are
rounded, and the same scan must give the same numbers, however busy the machine is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import nn

from bdshift.devices import GIB, free_memory, is_out_of_memory
from bdshift.errors import InputError
from bdshift.jobs import JobContext

UNFIT = (RuntimeError, AssertionError, ValueError, TypeError, IndexError)
"""Errors that networks, ours and others', raise for images of a size or kind that they reject."""

_MAPS_ALIVE = 4  # largest maps in memory at once: the input, the output, the shortcut, and a copy
_MEMORY_DIVISOR = 4  # the free memory divided by this may be used
_PROBE_SIDE = 16  # pixels: the maps of such a small image are not much larger than the weights
_GUESSED_BYTES = 4 * 640  # per input pixel, if it cannot be measured; ResNet-50 needs a third
# Multiply-adds per batch: a quarter of a second of two cores, and enough to keep a GPU busy.
_CPU_WORK, _GPU_WORK = 2e10, 2e12
_GUESSED_WORK = 3.5e5, 1e3  # of each input pixel, if it cannot be counted: ViT-B/16 has 2.2e5, 620

_PER_SECOND = {"float32": (9e10, 1.8e9), "bfloat16": (1.8e11, 3e9)}
"""Multiply-adds, and values written, that two cores of a CPU are taken to do in a second, by
precision. Fitted to 18 networks, from a small CNN to ViT-B/16 (docs/scale.md). What a budget buys
and what is said of a job's time never depend on the clock: they are the same on every machine with
such a device, however busy it is, and so approximate.
"""


@dataclass(frozen=True)
class Work:
    """What one image takes on its way through a network.

    Attributes:
        multiply_adds: in the layers that have a weight matrix or kernels.
        values: that all layers write; of small maps and cheap layers, memory is the limit.
    """

    multiply_adds: float
    values: float

    def seconds(self, precision: str) -> float:
        """On two cores, about; as long again on the way back to the image."""
        multiplied, written = _PER_SECOND[precision]
        return self.multiply_adds / multiplied + self.values / written


_counted: WeakKeyDictionary[nn.Module, dict[tuple[int, int], Work]] = WeakKeyDictionary()


def bytes_per_image(network: nn.Module, size: int, channels: int = 3) -> int:
    """Bytes of activations for one image of ``size`` pixels, estimated from the largest map of a
    tiny one. For a network that only takes its own size, it is a guess.
    """
    largest = 3 * _PROBE_SIDE * _PROBE_SIDE

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.numel())

    if not _run_one(network, _PROBE_SIDE, channels, note):
        return _GUESSED_BYTES * size * size
    return math.ceil(_MAPS_ALIVE * 4 * largest * (size / _PROBE_SIDE) ** 2)


def work_per_image(network: nn.Module, size: int, channels: int = 3) -> Work:
    """The work of one image of ``size`` pixels. If the network rejects this size, it is a guess.
    The network is run once for each size, however often this is asked.
    """
    counted = _counted.setdefault(network, {})
    if (size, channels) not in counted:
        counted[size, channels] = _count_work(network, size, channels)
    return counted[size, channels]


def _count_work(network: nn.Module, size: int, channels: int) -> Work:
    multiplied = written = 0.0

    def count(module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal multiplied, written
        if not isinstance(output, torch.Tensor):
            return
        if next(module.children(), None) is None:
            written += output.numel()
        weight = getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.dim() > 1 and len(weight):
            multiplied += output.numel() / len(weight) * weight.numel()

    if _run_one(network, size, channels, count):
        return Work(multiplied, written)
    return Work(*(one * size * size for one in _GUESSED_WORK))


def _run_one(
    network: nn.Module, size: int, channels: int, note: Callable[[nn.Module, object, object], None]
) -> bool:
    """Run one black image, and ``note`` what each layer does; False if the network rejects it."""
    device = next(network.parameters()).device
    probe = torch.zeros(1, channels, size, size, device=device)
    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(probe)
    except UNFIT as error:
        if is_out_of_memory(error):
            raise
        return False
    finally:
        for hook in hooks:
            hook.remove()
    return True


def largest_batch(
    network: nn.Module, size: int, device: torch.device, most: int, channels: int = 3
) -> int:
    """Images per batch, at most ``most``: a power of two that keeps the work of a batch below a
    fixed number of multiply-adds, the same on every run. Only where a quarter of the free memory
    is less than these need, it is smaller.

    Raises `InputError` if not even one image fits.
    """
    each, free = bytes_per_image(network, size, channels), free_memory(device)
    fitting = free // _MEMORY_DIVISOR // each
    if fitting < 1:
        raise InputError(
            "one image of {size}×{size} takes {needed:.1f} GiB in this network, too much for "
            "{free:.1f} GiB of free memory",
            size=size, needed=each / GIB, free=free / GIB,
        )  # fmt: skip
    budget = _CPU_WORK if device.type == "cpu" else _GPU_WORK
    work = work_per_image(network, size, channels).multiply_adds
    count = max(1, min(most, int(budget / max(1.0, work))))
    return min(1 << (count.bit_length() - 1), fitting)


@contextmanager
def interruptible(network: nn.Module, job: JobContext) -> Iterator[None]:
    """Let ``job`` be canceled between the layers of ``network``, not only between its batches."""

    def check(_module: nn.Module, _inputs: object) -> None:
        job.raise_if_canceled()

    layers = [module for module in network.modules() if not next(module.children(), None)]
    hooks = [layer.register_forward_pre_hook(check) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
