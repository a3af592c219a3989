"""What of an HDF5 file from anyone is read: plain numbers that are stored in this very file, and
that fit what the file could hold.

A dataset's element type is a tree that the file describes, its numbers may be in other files, and
its filters may be programs that are loaded from wherever the user's environment says.
"""

from __future__ import annotations

import math
from typing import Any

import h5py
from h5py import h5t

SHUFFLE, GZIP, CHECKSUM, LZF = 2, 1, 3, 32000
"""Filters that are built into HDF5 or h5py."""

_NUMBERS = frozenset({h5t.INTEGER, h5t.FLOAT, h5t.ENUM})  # an enumeration may be of booleans
_MAX_TEXT = 256  # bytes of an attribute
_SMALL_CHUNK = 1024 * 1024  # bytes


def is_local(dataset: h5py.Dataset) -> bool:
    """Whether its numbers are in its own file."""
    return not dataset.is_virtual and not dataset.external


def holds_numbers(dataset: h5py.Dataset) -> bool:
    """Whether its elements are numbers, real or complex; looked up without building the type."""
    kind = dataset.id.get_type()
    if kind.get_class() == h5t.COMPOUND and kind.get_nmembers() == 2:
        return all(kind.get_member_class(number) == h5t.FLOAT for number in range(2))
    return kind.get_class() in _NUMBERS


def filters(dataset: h5py.Dataset) -> set[int]:
    """The numbers of its filters."""
    plist = dataset.id.get_create_plist()
    return {plist.get_filter(number)[0] for number in range(plist.get_nfilters())}


def has_fitting_chunks(dataset: h5py.Dataset) -> bool:
    """Whether no chunk, which is unpacked whole, is larger than the dataset itself."""
    chunk = math.prod(dataset.chunks or (0,)) * dataset.id.get_type().get_size()
    return chunk <= max(int(dataset.nbytes), _SMALL_CHUNK)


def attribute(file: h5py.File, name: str, kind: str) -> Any:
    """A single number (kind "i") or fixed-length text ("S") of the file itself; else None. HDF5
    keeps values of variable length in heaps, and a damaged one can send its library into an endless
    loop: none is ever read.
    """
    if name not in file.attrs:
        return None
    held = file.attrs.get_id(name)
    wanted = h5t.STRING if kind == "S" else h5t.INTEGER
    found = held.get_type()
    if found.get_class() != wanted or held.shape != () or found.get_size() > _MAX_TEXT:
        return None
    if kind == "S" and found.is_variable_str():
        return None
    return file.attrs[name]
