"""HDF5 files with a dataset of images and one of labels, read one image at a time."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.hdf5_data import (
    CHECKSUM,
    GZIP,
    LZF,
    SHUFFLE,
    attribute,
    filters,
    holds_numbers,
    is_local,
)
from bdshift.images.sources.arrays import ArrayImages, ArrayPart, class_numbers
from bdshift.images.sources.base import MAX_LABEL_BYTES, Source
from bdshift.images.sources.pairs import find_pair

_AUDIT = b"bdshift-audit"  # as `bdshift.store` marks its files
_MAX_OBJECTS = 2000
_MAX_LEVELS = 6
_MAX_CHUNK_BYTES = 64 * 1024 * 1024
_CACHE_BYTES = 128 * 1024 * 1024  # of unpacked chunks, so that images in one chunk unpack it once
_CACHE_SLOTS = 4001  # a prime, as HDF5 recommends
_MAX_RATIO = 1100  # of bytes unpacked to bytes in the file; deflate reaches at most 1032
_FILTERS = frozenset({SHUFFLE, GZIP, CHECKSUM, LZF})


def open_hdf5(path: Path) -> Source:
    """Images and labels of an HDF5 file.

    Raises `InputError` if it is a bdshift audit, holds no labeled images, or keeps them in
    another file.
    """
    try:
        file = h5py.File(path, "r", rdcc_nbytes=_CACHE_BYTES, rdcc_nslots=_CACHE_SLOTS)
    except OSError as error:
        raise InputError("is a broken HDF5 file") from error
    try:
        if is_audit(file):
            raise InputError("is an audit of bdshift, and holds no images; open it as an audit")
        datasets = {dataset.name.strip("/"): dataset for dataset in _datasets(file, 0)}
        images, labels, note = find_pair({key: item.shape for key, item in datasets.items()})
        for key in (images, labels):
            _check(datasets[key], key, path.stat().st_size)
        if datasets[labels].nbytes > MAX_LABEL_BYTES:
            raise InputError(
                "{name} takes more than {most} MiB", name=labels, most=MAX_LABEL_BYTES >> 20
            )
        part = ArrayPart(
            images, _Hdf5Rows(file, datasets[images]), class_numbers(datasets[labels][()])
        )
        return ArrayImages([part], notes=[note] if note else [])
    except InputError:
        file.close()
        raise
    except (OSError, LookupError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        file.close()
        reason = f"{type(error).__name__}: {error}"
        raise InputError("is damaged ({reason})", reason=reason) from error


def is_audit(file: h5py.File) -> bool:
    """Whether it is a bdshift audit."""
    return bool(attribute(file, "format", "S") == _AUDIT)


def _datasets(
    group: h5py.Group, level: int, seen: set[int] | None = None
) -> Iterator[h5py.Dataset]:
    """Datasets of numbers that are stored in this very file: only hard links are followed, and no
    group is entered twice.
    """
    seen = set() if seen is None else seen
    if len(group) > _MAX_OBJECTS:
        raise InputError("holds more than {most} objects", most=_MAX_OBJECTS)
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            continue
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if len(seen) > _MAX_OBJECTS:
            raise InputError("holds more than {most} objects", most=_MAX_OBJECTS)
        if isinstance(item, h5py.Dataset):
            if item.shape and holds_numbers(item) and item.dtype.kind in "biuf":
                yield item
        elif isinstance(item, h5py.Group) and level < _MAX_LEVELS:
            yield from _datasets(item, level + 1, seen)


def _check(dataset: h5py.Dataset, name: str, size: int) -> None:
    """Raise `InputError` for numbers that are stored elsewhere, or more than the file can hold."""
    if not is_local(dataset):
        raise InputError("{name} is kept in another file, which is not followed", name=name)
    if not filters(dataset) <= _FILTERS:
        raise InputError(
            "{name} is compressed in a way that is not supported; use gzip or lzf", name=name
        )
    if dataset.nbytes > _MAX_RATIO * size:
        raise InputError(
            "{name} claims {size:,} bytes, more than the file can hold",
            name=name, size=int(dataset.nbytes),
        )  # fmt: skip
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > _MAX_CHUNK_BYTES:
        raise InputError(
            "{name} has chunks of more than {most} MiB", name=name, most=_MAX_CHUNK_BYTES >> 20
        )


class _Hdf5Rows:
    """Images of a dataset. Keeps the file open; only one thread at a time uses the library."""

    def __init__(self, file: h5py.File, dataset: h5py.Dataset) -> None:
        self._file = file
        self._dataset = dataset
        self._lock = threading.Lock()
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype

    def row(self, index: int) -> NDArray[Any]:
        """See `ArrayRows`."""
        with self._lock:
            return np.asarray(self._dataset[index])
