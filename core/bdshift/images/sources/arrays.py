"""Turns arrays of pixels into images: each row is handed out as a PGM or PPM file.

This gives one path for everything downstream (decoding, hashing, thumbnails), and an array and a
folder of images with the same pixels give the same batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.sources.base import ImageFile, Skipped, Source
from bdshift.images.sources.naming import check_count
from bdshift.words import Sentence

_MAX_ROW_BYTES = 32 * 1024 * 1024  # of one image as stored
_MAX_LABEL = 10**9  # `bdshift.images.labels` accepts numbers of at most nine digits
_MAX_DIGITS = 9
_MAX_SAMPLE_ROWS = 64  # images that decide what the values of an array mean
_MAX_SAMPLE_BYTES = 64 * 1024 * 1024
_CHANNELS = (1, 3, 4)
_NUMBER_DIGITS = 5  # of an image's number in its name


class ArrayRows(Protocol):
    """Images along the first axis: ``shape`` and ``dtype`` of all, and one image at a time."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all of them together."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of their elements."""

    def row(self, index: int) -> NDArray[Any]:
        """One image, of ``shape[1:]``. Thread-safe. Raises `InputError` and `OSError`."""


@dataclass(frozen=True)
class MemoryRows:
    """Images of an array in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all of them together."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of their elements."""
        return self.array.dtype

    def row(self, index: int) -> NDArray[Any]:
        """See `ArrayRows`."""
        return self.array[index]


@dataclass(frozen=True)
class FileRows:
    """Images in C order in a file: the first at ``start``, each ``step`` bytes after the last.

    The file is opened for every row, which costs little compared with decoding, and leaves nothing
    to be closed or shared between threads.
    """

    path: Path
    start: int
    step: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def row(self, index: int) -> NDArray[Any]:
        """See `ArrayRows`."""
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        with self.path.open("rb") as stream:
            stream.seek(self.start + index * self.step)
            data = stream.read(size)
        if len(data) != size:
            raise InputError("the file is cut short")
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])


@dataclass(frozen=True)
class ValueScale:
    """What the values of an array mean: ``low`` is black, ``high`` is white."""

    low: float
    high: float

    def to_bytes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """The same image as 8-bit values, rounded.

        Raises `InputError` for values beyond the scale by more than a thousandth of it: the few
        images that were sampled were not like this one.
        """
        if values.dtype == np.uint8 and self.high == 255:
            return values
        slack = (self.high - self.low) / 1000
        least, most = float(values.min()), float(values.max())
        if not (self.low - slack <= least and most <= self.high + slack):  # nor if it is NaN
            raise InputError(
                "its values ({least:.4g} to {most:.4g}) are beyond those of the other images "
                "({low:g} to {high:g})",
                least=least, most=most, low=float(self.low), high=float(self.high),
            )  # fmt: skip
        scaled = (values.astype(np.float32) - self.low) * (255 / (self.high - self.low))
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def choose_scale(rows: ArrayRows) -> ValueScale:
    """Decide what the values mean, from images spread evenly over all of them, so that the same
    file always gives the same answer.

    8-bit values are used as they are. Others get the first scale that fits of 0…1, −1…1, 0…255, or
    0…65535 if they are stored as 16-bit integers. Raises `InputError` if none fits.
    """
    kind, size = rows.dtype.kind, rows.dtype.itemsize
    if rows.dtype == np.uint8:
        return ValueScale(0, 255)
    if kind == "b":
        return ValueScale(0, 1)
    row_bytes = max(1, math.prod(rows.shape[1:]) * size)
    count = max(1, min(_MAX_SAMPLE_ROWS, rows.shape[0], _MAX_SAMPLE_BYTES // row_bytes))
    picks = np.unique(np.linspace(0, rows.shape[0] - 1, count).astype(np.int64))
    ends = [(float(row.min()), float(row.max())) for row in map(rows.row, picks.tolist())]
    ends = [(low, high) for low, high in ends if math.isfinite(low + high)]
    if not ends:
        raise InputError("its images hold values that are not numbers (NaN or infinity)")
    least, most = min(low for low, _ in ends), max(high for _, high in ends)
    scales = [ValueScale(0, 255)]
    if kind == "f":
        scales = [ValueScale(0, 1), ValueScale(-1, 1), *scales]
    elif kind == "u" and size == 2:
        scales.append(ValueScale(0, 65535))
    for scale in scales:
        slack = (scale.high - scale.low) / 1000
        if scale.low - slack <= least and most <= scale.high + slack:
            return scale
    raise InputError(
        "its images hold values from {least:.4g} to {most:.4g}, so they are normalized already; "
        "save them as 0…255, 0…1 or −1…1",
        least=least, most=most,
    )  # fmt: skip


def as_picture(row: NDArray[Any], channels_first: bool) -> NDArray[Any]:
    """A row as (h, w) or (h, w, 3): alpha is dropped, as in training code."""
    if row.ndim == 3 and channels_first:
        row = row.transpose(1, 2, 0)
    if row.ndim == 3:
        row = row[..., 0] if row.shape[2] == 1 else row[..., :3]
    return row


def as_netpbm(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a PGM or PPM file: 8-bit pixels (h, w) or (h, w, 3)."""
    kind = "P5" if pixels.ndim == 2 else "P6"
    return f"{kind}\n{pixels.shape[1]} {pixels.shape[0]}\n255\n".encode() + pixels.tobytes()


def has_channels_first(shape: Sequence[int]) -> bool:
    """Whether images, ``shape`` being that of all of them, are (c, h, w). Raises `InputError` if
    they are not images, or if the order is ambiguous.
    """
    text = "×".join(map(str, shape))
    if len(shape) not in (3, 4):
        raise InputError(
            "an array of {shape} is not an array of images: (n, h, w), (n, h, w, c) or "
            "(n, c, h, w)",
            shape=text,
        )
    if 0 in shape:
        raise InputError("holds no images")
    if len(shape) == 3:
        return False
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first and last:
        raise InputError("in an array of {shape}, channels may come first or last", shape=text)
    if not first and not last:
        raise InputError("an array of {shape} has no axis of 1, 3 or 4 channels", shape=text)
    return first


def class_numbers(values: NDArray[Any]) -> NDArray[np.int64]:
    """Labels (n,), (n, 1) or one-hot (n, classes) as class numbers, int64 (n,).

    Raises `InputError` for anything else.
    """
    check_count(len(values) if values.ndim else 0)  # one byte becomes eight
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise InputError(
            "its labels are neither numbers nor one-hot rows ({dtype})", dtype=str(values.dtype)
        )
    if values.ndim == 2:
        ones = values == 1
        if not (np.count_nonzero(values, axis=1) == 1).all() or not ones.any(axis=1).all():
            raise InputError("its labels are neither numbers nor one-hot rows")
        return ones.argmax(axis=1).astype(np.int64)
    if not len(values):
        raise InputError("holds no labels")
    least, most = values.min(), values.max()
    if not 0 <= least <= most < _MAX_LABEL:  # nor if one is NaN
        raise InputError(
            "its labels range from {least} to {most}; classes are counted from 0",
            least=str(least), most=str(most),
        )  # fmt: skip
    numbers = values.astype(np.int64)
    if (numbers != values).any():
        raise InputError("its labels are not whole numbers")
    return numbers


def name_classes(
    labels: NDArray[np.int64], names: Sequence[str] | None
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the classes, and each label's position among them.

    Without ``names`` (of all classes, by number), the classes that occur are named by their numbers
    and sorted by them. With names, all classes up to the last one that occurs are included, so that
    the position is the number. `bdshift.images.labels` reads names that are all numbers as indices,
    so a name that is a different number gets a word added to it.

    Raises `InputError` if a label has no name.
    """
    if names is None:
        present, positions = np.unique(labels, return_inverse=True)
        return tuple(map(str, present.tolist())), positions.astype(np.int64)
    last = int(labels.max())
    if last >= len(names):
        raise InputError(
            "has the label {last}, but names for {count:|class|classes}",
            last=last, count=len(names),
        )  # fmt: skip
    first: dict[str, int] = {}
    folders = []
    for index, name in enumerate(names[: last + 1]):
        number = name.isdecimal() and (len(name) > _MAX_DIGITS or int(name) != index)
        unclear = not name or number or first.setdefault(name, index) != index
        folders.append(f"{name} (label {index})" if unclear else name)
    return tuple(folders), labels


@dataclass(frozen=True)
class ArrayPart:
    """An array of images and its labels, int64 (n,); ``name`` precedes the images' numbers.

    Raises `InputError` if they are not images, or do not match each other.
    """

    name: str
    rows: ArrayRows
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        has_channels_first(self.rows.shape)
        pictures, labels = self.rows.shape[0], len(self.labels)
        if pictures != labels:
            raise InputError(
                "{name} has {pictures:|image|images}, but {labels:|label|labels}",
                name=self.name, pictures=pictures, labels=labels,
            )  # fmt: skip
        if math.prod(self.rows.shape[1:]) * self.rows.dtype.itemsize > _MAX_ROW_BYTES:
            raise InputError("its images are larger than 32 MiB each")
        if self.rows.dtype.kind not in "biuf":
            raise InputError("its images are not numbers ({dtype})", dtype=str(self.rows.dtype))


class ArrayImages(Source):
    """Images in arrays, named like "test_batch/00042"."""

    def __init__(
        self,
        parts: Sequence[ArrayPart],
        names: Sequence[str] | None = None,
        *,
        skipped: Iterable[Skipped] = (),
        notes: Iterable[Sentence] = (),
    ) -> None:
        """``names`` are those of all classes, by number.

        Raises `InputError` if a label has no name, or the values are not on a known scale.
        """
        check_count(sum(len(part.labels) for part in parts))
        self._parts = {
            part.name: (part.rows, has_channels_first(part.rows.shape), choose_scale(part.rows))
            for part in parts
        }
        folders, positions = name_classes(np.concatenate([part.labels for part in parts]), names)
        keys = [
            f"{part.name}/{row:0{_NUMBER_DIGITS}d}"
            for part in parts
            for row in range(len(part.labels))
        ]
        order = np.argsort(positions, kind="stable").tolist()
        sorted_positions = positions[order].tolist()
        files = map(ImageFile, [keys[i] for i in order], sorted_positions)
        super().__init__(folders, files, skipped, notes)

    def read(self, name: str, most: int) -> bytes:
        """See `Source`."""
        part, _, number = name.rpartition("/")
        if part not in self._parts or not number.isdecimal():
            raise InputError("not in the file")
        rows, channels_first, scale = self._parts[part]
        if len(number) > _MAX_DIGITS or int(number) >= rows.shape[0]:
            raise InputError("not in the file")
        row = as_picture(rows.row(int(number)), channels_first)
        return as_netpbm(scale.to_bytes(row))[: most + 1]
