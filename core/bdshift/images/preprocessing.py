"""From 8-bit pixels to what a network was trained on: channel order, scale, mean and std.

A checkpoint stores none of it, and the data set does not imply it: well-known projects have
normalized CIFAR-10 alone in five ways. So every known way is a candidate, and clean accuracy
decides (see `bdshift.audit`).
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from bdshift.errors import UsageError
from bdshift.images.framing import USUAL, Framing

if TYPE_CHECKING:
    import torch

Channels = tuple[float, float, float]
Order = Literal["rgb", "bgr", "gray", "rgb-reshaped", "bgr-reshaped"]
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in ITU-R 601, which Pillow and OpenCV use for gray."""

_NEARLY = 0.1  # of a channel's range: the constants of CIFAR-10 and CIFAR-100 are 0.06 apart
MAX_SIZE = 1024
"""Largest side of a network's input, in pixels."""


@dataclass(frozen=True)
class Normalization:
    """x' = (x / ``divisor`` − ``mean``) / ``std``, with x the 8-bit value, 0…255.

    ``mean`` and ``std`` are in units of x / ``divisor``, one value per channel in the network's own
    channel order.
    """

    name: str
    mean: Channels
    std: Channels
    divisor: float = 255.0

    @property
    def spec(self) -> str:
        """The text that `parse_normalization` reads."""
        if self.name in NORMALIZATIONS or self.divisor != 255:
            return self.name
        mean, std = (",".join(map(str, values)) for values in (self.mean, self.std))
        return f"{mean}/{std}"

    def is_nearly(self, other: Normalization) -> bool:
        """Whether all pixels become nearly the same numbers: the ends of every channel's range
        differ by at most a tenth of it.
        """
        return max(map(max, self._ends_off(other))) <= _NEARLY

    def _ends_off(self, other: Normalization) -> list[list[float]]:
        """How far the numbers of black and white are off, as a share of the range, by channel."""
        found = []
        for mean, std, its_mean, its_std in zip(
            self.mean, self.std, other.mean, other.std, strict=True
        ):
            ends = [
                (value / one.divisor - middle) / spread
                for one, middle, spread in ((self, mean, std), (other, its_mean, its_std))
                for value in (0.0, 255.0)
            ]
            width = ends[1] - ends[0]
            found.append([abs(ends[2] - ends[0]) / width, abs(ends[3] - ends[1]) / width])
        return found

    @property
    def is_scalar(self) -> bool:
        """Whether it is the same for all channels."""
        return len(set(self.mean)) == len(set(self.std)) == 1

    def __post_init__(self) -> None:
        numbers = (*self.mean, *self.std, self.divisor)
        if not all(map(math.isfinite, numbers)) or not min(*self.std, self.divisor) > 0:
            raise UsageError(
                "normalization {name} has a std or scale that is not positive", name=repr(self.name)
            )


def _known(name: str, mean: str, std: str, divisor: float = 255.0) -> Normalization:
    def channels(text: str) -> Channels:
        values = [float(part) for part in text.split()]
        red, green, blue = values * 3 if len(values) == 1 else values
        return red, green, blue

    return Normalization(name, channels(mean), channels(std), divisor)


# docs/formats.md says where each one is used. Two names for the same numbers are one entry.
NORMALIZATIONS: dict[str, Normalization] = {
    entry.name: entry
    for entry in (
        _known("none", "0", "1"),
        _known("cifar10", ".4914 .4822 .4465", ".247 .243 .261"),
        _known("cifar10-pytorch-cifar", ".4914 .4822 .4465", ".2023 .1994 .2010"),
        _known("cifar100", ".5071 .4865 .4409", ".2673 .2564 .2762"),
        _known("imagenet", ".485 .456 .406", ".229 .224 .225"),
        _known("tiny-imagenet", ".4802 .4481 .3975", ".2302 .2265 .2262"),
        _known("gtsrb", ".3337 .3064 .3171", ".2672 .2564 .2629"),
        _known("gtsrb-trojanzoo", ".3403 .3121 .3214", ".2724 .2608 .2669"),
        _known("cifar10-scalar", ".4734", ".2516"),
        _known("mnist", ".1307", ".3081"),
        _known("fashion-mnist", ".2860", ".3530"),
        _known("half", ".5", ".5"),
        _known("raw-255", "0", "1", divisor=1.0),
    )
}


def parse_normalization(text: str) -> Normalization:
    """A name from `NORMALIZATIONS`, or ``mean/std`` with one or three numbers for each.

    ``parse_normalization("0.49,0.48,0.45/0.2,0.2,0.2")`` is in units of x / 255.
    Raises `UsageError` for anything else.
    """
    if text in NORMALIZATIONS:
        return NORMALIZATIONS[text]
    parts = [re.split(r"[,\s]+", part.strip()) for part in text.split("/")]
    if len(parts) == 2 and all(len(part) in (1, 3) for part in parts):
        with suppress(ValueError, UsageError):
            return _known(text, " ".join(parts[0]), " ".join(parts[1]))
    raise UsageError(
        "normalization {name} is not known; give mean/std, as in 0.49,0.48,0.45/0.25,0.24,0.26, "
        "or one of {names}",
        name=repr(text), names=tuple(NORMALIZATIONS),
    )  # fmt: skip


def arranged(pixels: torch.Tensor, order: Order) -> torch.Tensor:
    """``pixels`` (n, 3, h, w), RGB, in ``order`` (see `Preprocessing`); gray becomes float32."""
    if order.startswith("bgr"):
        pixels = pixels.flip(1)
    if order.endswith("reshaped"):
        pixels = pixels.permute(0, 2, 3, 1).reshape(pixels.shape)
    if order == "gray":
        red, green, blue = pixels.float().split(1, dim=1)
        pixels = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return pixels


@dataclass(frozen=True)
class Preprocessing:
    """Everything between a decoded image and the network.

    Attributes:
        size: height and width of the network's input, in pixels.
        normalization: mean, std and scale.
        order: "rgb"; "bgr" for networks trained on images as OpenCV reads them; "gray" for those
            with one channel (luma); "rgb-reshaped", "bgr-reshaped" where (h, w, 3) was reshaped to
            (3, h, w) instead of transposed, a common mistake that networks learn to live with.
        framing: how pictures become squares, which the decoder does (`bdshift.images.decode`).
    """

    size: int
    normalization: Normalization
    order: Order = "rgb"
    framing: Framing = USUAL

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_SIZE:
            raise UsageError(
                "the input size must be 1 to {most} pixels, not {size}",
                most=MAX_SIZE, size=self.size,
            )  # fmt: skip

    @property
    def channels(self) -> int:
        """1 for gray, else 3."""
        return 1 if self.order == "gray" else 3

    @cached_property
    def _scale_and_offset(self) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        n = self.normalization
        with torch.inference_mode(False):  # they are kept, and gradients may go through them later
            std = torch.tensor(n.std, dtype=torch.float64)
            scale = 1.0 / (std * n.divisor)
            offset = -torch.tensor(n.mean, dtype=torch.float64) / std
            scale, offset = scale[: self.channels], offset[: self.channels]
            return scale.float().view(1, -1, 1, 1), offset.float().view(1, -1, 1, 1)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalize ``pixels`` (n, 3, size, size), uint8 or float on the same 0…255 scale, RGB.

        Returns float32 (n, `channels`, size, size) on the same device, channels-last.
        """
        import torch

        pixels = arranged(pixels, self.order)
        scale, offset = (part.to(pixels.device) for part in self._scale_and_offset)
        values = pixels.to(dtype=torch.float32, memory_format=torch.channels_last)
        return values.mul_(scale).add_(offset) if values is not pixels else values * scale + offset


@dataclass(frozen=True)
class GivenReading:
    """How a network gets images that its user has prepared.

    Attributes:
        preprocessing: of the 8-bit pixels, to get the same numbers again.
        by_range: whether nothing said which numbers are black and white, so that the lowest and the
            highest of each channel were taken.
    """

    preprocessing: Preprocessing
    by_range: bool
