"""Images that a program has in memory, as a clean set.

8-bit images are pictures, like those in files: how the network wants them normalized is found out.
Any others are taken as the network gets them. They are kept as 8-bit pixels all the same, because
that is what triggers change and what searches search: black and white, on whatever scale, are 0 and
255. The network gets each value back to within half of one of the 255 steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.devices import free_memory
from bdshift.errors import InputError, NoRoom
from bdshift.files import in_memory
from bdshift.images.collection import ImageCollection
from bdshift.images.preprocessing import (
    MAX_SIZE,
    NORMALIZATIONS,
    Channels,
    GivenReading,
    Normalization,
    Order,
    Preprocessing,
)
from bdshift.images.sources.arrays import as_netpbm, name_classes
from bdshift.images.sources.base import ImageFile, Source

NAME = "images"
_SLACK = 1 / 1000  # of the range from black to white
_STEP = 1 / 255
_DIGITS = 6  # of a mean and a std that were found
_MOST_IN_HALF, _MOST_OFF = 6e4, 4  # of numbers in half precision: size, and times their range


class ImagesInMemory(Source):
    """8-bit images (n, c, s, s), named by their number."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64] | None,
        numbers: Sequence[int],
        names: Sequence[str],
    ) -> None:
        self._rows = dict(zip(map(_name, numbers), pixels, strict=True))
        if labels is None:
            super().__init__((), (ImageFile(name, 0, labeled=False) for name in self._rows))
            return
        folders, positions = name_classes(labels, names or None)
        files = sorted(
            map(ImageFile, self._rows, positions.tolist()), key=lambda one: (one.label, one.name)
        )
        super().__init__(folders, files)

    def read(self, name: str, most: int) -> bytes:
        """See `Source`."""
        row = self._rows[name]
        return as_netpbm(row[0] if len(row) == 1 else row.transpose(1, 2, 0))[: most + 1]


def _name(number: int) -> str:
    return f"{NAME}/{number:05d}"


class Gathered:
    """Images that arrive in parts: two bytes a number until all are there, then one.

    Attributes:
        count: how many there are.
    """

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[NDArray[Any]] = []
        self._low = self._high = np.empty(0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image, (channels, s, s)."""
        return self._parts[0].shape[1:]

    @property
    def are_pictures(self) -> bool:
        """Whether they are 8-bit images."""
        return self._parts[0].dtype == np.uint8

    def add(self, images: NDArray[Any]) -> None:
        """Images (n, channels, s, s), uint8 or float32.

        Raises `InputError` if they are no square images of one or three channels, not like those
        before them, or not finite, `NoRoom` if they need more than half of the free memory.
        """
        if not len(images):
            return
        _check_shape(images.shape)
        if self._parts and (images.shape[1:] != self.shape or
                            (images.dtype == np.uint8) != self.are_pictures):  # fmt: skip
            raise InputError(
                "{path}: some images are {one} and others {other}: a scan needs images of one size "
                "and kind",
                path=in_memory(NAME), one=_described(self._parts[0]), other=_described(images),
            )  # fmt: skip
        if images.dtype != np.uint8:
            low, high = images.min((0, 2, 3)), images.max((0, 2, 3))
            if not np.isfinite([low, high]).all():
                raise InputError(
                    "{path}: some hold values that are not numbers (NaN or infinity)",
                    path=in_memory(NAME),
                )
            self._low = np.minimum(self._low, low) if self._parts else low
            self._high = np.maximum(self._high, high) if self._parts else high
            if _has_room_in_half(low, high):
                images = images.astype(np.float16)
        if images.nbytes > free_memory(torch.device("cpu")) / 2:
            raise NoRoom(
                "{path}: there is no memory for more than {count:|image|images}; ask for fewer "
                "with sample",
                path=in_memory(NAME), count=self.count,
            )  # fmt: skip
        self._parts.append(images)
        self.count += len(images)

    def collection(
        self,
        labels: NDArray[np.int64] | None,
        normalization: Normalization | None,
        numbers: Sequence[int],
        names: Sequence[str] = (),
    ) -> ImageCollection:
        """Them as a clean set, named by ``numbers``; ``labels`` are classes, int64 (n,), and
        ``names`` those of all classes. They are emptied out of this. ``normalization`` is what
        images that are no pictures went through; None if that is not known.

        Raises `InputError` if they are not on that scale, or there are none.
        """
        if not self.count:
            raise InputError("{path}: there are none", path=in_memory(NAME))
        given = None
        if not self.are_pictures:
            given = self._reading(normalization)
        pixels = np.empty((self.count, *self.shape), np.uint8)
        ends = np.cumsum([0, *map(len, self._parts)])
        for place, (start, end) in enumerate(pairwise(ends.tolist())):
            part, self._parts[place] = self._parts[place], self._parts[place][:0]
            pixels[start:end] = part if given is None else _to_bytes(part, given.preprocessing)
        source = ImagesInMemory(pixels, labels, numbers, names)
        return ImageCollection(in_memory(NAME), source, given)

    def _reading(self, normalization: Normalization | None) -> GivenReading:
        channels, size = self.shape[0], self.shape[1]
        low, high = self._low.astype(np.float64), self._high.astype(np.float64)
        known, by_range = normalization, False
        if known is None and low.min() >= -_SLACK and high.max() <= 1 + _SLACK:
            known = NORMALIZATIONS["none"]
        if known is None:
            known, by_range = _by_range(low, high)
        black, white = _ends(known, channels)
        slack = _SLACK * (white - black)
        if (low < black - slack).any() or (high > white + slack).any():
            raise InputError(
                "{path}: the normalization {name} makes black {black:.4g} and white {white:.4g}, "
                "but there are values from {least:.4g} to {most:.4g}: they were prepared in "
                "another way",
                path=in_memory(NAME), name=known.name, black=float(black.min()),
                white=float(white.max()), least=float(low.min()), most=float(high.max()),
            )  # fmt: skip
        order: Order = "gray" if channels == 1 else "rgb"
        return GivenReading(Preprocessing(size, known, order), by_range)


def _has_room_in_half(low: NDArray[np.float32], high: NDArray[np.float32]) -> bool:
    """Whether numbers in this range keep all of 255 steps in half precision."""
    largest = float(np.abs([low, high]).max())
    return largest < _MOST_IN_HALF and largest <= _MOST_OFF * float((high - low).min())


def _check_shape(shape: tuple[int, ...]) -> None:
    text = "×".join(map(str, shape))
    if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise InputError(
            "{path}: an array of {shape} is no array of images, (n, channels, height, width) with "
            "one or three channels",
            path=in_memory(NAME), shape=text,
        )  # fmt: skip
    if shape[2] != shape[3] or shape[2] > MAX_SIZE:
        raise InputError(
            "{path}: are {width} × {height} pixels; they have to be square, of at most {most} "
            "pixels a side",
            path=in_memory(NAME), width=shape[3], height=shape[2], most=MAX_SIZE,
        )  # fmt: skip


def _described(images: NDArray[Any]) -> str:
    kind = "uint8" if images.dtype == np.uint8 else "float"
    return f"{kind} {'×'.join(map(str, images.shape[1:]))}"


def _ends(
    normalization: Normalization, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What black and white become in each channel."""
    mean, std = (np.array(part[:channels]) for part in (normalization.mean, normalization.std))
    return -mean / std, (255 / normalization.divisor - mean) / std


def _by_range(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[Normalization, bool]:
    """The known normalization that makes black and white of the lowest and highest values, to
    within half a step; else one that is made of them, and True.
    """
    for known in NORMALIZATIONS.values():
        black, white = _ends(known, len(low))
        most = (white - black) * _STEP / 2
        if (abs(low - black) <= most).all() and (abs(high - white) <= most).all():
            return known, False
    width = np.where(high > low, high - low, 1)  # a channel that is always the same is black
    # The mean and std are rounded outward, so that no value is beyond them.
    std = [_rounded(1 / one) for one in width.tolist()]
    mean = [_rounded(-one * by) for one, by in zip(low.tolist(), std, strict=True)]
    triple = [part if len(part) == 3 else part * 3 for part in (mean, std)]
    text = "/".join(",".join(f"{value:g}" for value in part) for part in triple)
    return Normalization(text, _three(triple[0]), _three(triple[1])), True


def _rounded(value: float) -> float:
    """To so many digits that are not zeros."""
    return round(value, _DIGITS - math.floor(math.log10(abs(value))) - 1) if value else 0.0


def _three(values: Iterable[float]) -> Channels:
    red, green, blue = values
    return red, green, blue


def _to_bytes(images: NDArray[Any], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The pixels that ``preprocessing`` makes the images of."""
    n, channels = preprocessing.normalization, images.shape[1]
    std, mean = (np.array(part[:channels], np.float32)[:, None, None] for part in (n.std, n.mean))
    found = (images.astype(np.float32) * std + mean) * np.float32(n.divisor)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)
