"""NumPy's .npz: images are read row by row if they are stored, at once if compressed."""

from __future__ import annotations

import math
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.sources.arrays import (
    ArrayImages,
    ArrayPart,
    ArrayRows,
    FileRows,
    MemoryRows,
    class_numbers,
)
from bdshift.images.sources.base import MAX_LABEL_BYTES, MAX_UNPACKED, Source
from bdshift.images.sources.pairs import find_pair
from bdshift.zip_data import check_method

_MAX_ARRAYS = 1000
_MAX_HEADER_BYTES = 10_000
_BLOCK = 1024 * 1024
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip entry: signature, …, lengths of name and extra
# What NumPy writes, and nothing else: NumPy itself reads the header as Python source.
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([<>|=][a-zA-Z]\d{1,3})',\s*'fortran_order':\s*(True|False),"
    rb"\s*'shape':\s*\(([\d,L ]{0,200})\),?\s*\}\s*"
)


@dataclass(frozen=True)
class _Array:
    """An array in the archive, whose numbers start ``offset`` bytes into the entry."""

    info: zipfile.ZipInfo
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def open_npz(path: Path, archive: zipfile.ZipFile) -> Source:
    """Images and labels of an .npz, which need not stay open afterward.

    Raises `InputError` if it holds no labeled images, or they cannot be read safely.
    """
    infos = archive.infolist()
    if len(infos) > _MAX_ARRAYS:
        raise InputError("holds more than {most} arrays", most=_MAX_ARRAYS)
    arrays: dict[str, _Array] = {}
    others = []
    for info in infos:
        key = info.filename.removesuffix(".npy")
        try:
            found = _describe(archive, info)
        except InputError as error:
            raise error.at(key) from error
        if found is None:
            others.append(key)
        else:
            arrays[key] = found
    try:
        images, labels, note = find_pair({key: array.shape for key, array in arrays.items()})
        numbers = class_numbers(_read(archive, arrays[labels], MAX_LABEL_BYTES, labels))
        part = ArrayPart(images, _rows(path, archive, arrays[images], images), numbers)
        return ArrayImages([part], notes=[note] if note else [])
    except InputError as error:
        if not others:
            raise
        raise InputError(
            "{reason}; {name} is never loaded, since it is not plain numbers",
            reason=error.sentence, name=others[0],
        ) from error  # fmt: skip


def _describe(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Array | None:
    """What an entry claims to be; None if it is not an array of numbers."""
    check_method(info)
    with archive.open(info) as stream:
        found = npy_header(stream)
    if found is None or found.dtype.kind not in "biuf":
        return None
    return _Array(info, found.offset, found.shape, found.dtype, found.fortran)


@dataclass(frozen=True)
class NpyHeader:
    """What a .npy claims to hold; its elements start ``offset`` bytes into it."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool


def npy_header(stream: IO[bytes]) -> NpyHeader | None:
    """The header of the .npy that starts here; None if it is none, or holds objects."""
    start = stream.read(12)
    if start[:6] != b"\x93NUMPY" or len(start) < 12:
        return None
    wide = start[6] > 1
    length = int.from_bytes(start[8:12] if wide else start[8:10], "little")
    if length > _MAX_HEADER_BYTES:
        return None
    offset = 12 if wide else 10
    header = start[offset:] + stream.read(length - len(start[offset:]))
    matched = _HEADER.fullmatch(header)
    if matched is None:
        return None
    try:
        dtype = np.dtype(matched[1].decode())
        shape = tuple(int(size.strip(b" L")) for size in matched[3].split(b",") if size.strip())
    except (TypeError, ValueError):
        return None
    return NpyHeader(offset + length, shape, dtype, matched[2] == b"True")


def _rows(path: Path, archive: zipfile.ZipFile, array: _Array, name: str) -> ArrayRows:
    """Rows straight from the file if the entry is stored in it uncompressed."""
    if array.info.compress_type != zipfile.ZIP_STORED or array.fortran or array.info.flag_bits & 1:
        return MemoryRows(_read(archive, array, MAX_UNPACKED, name))
    with path.open("rb") as stream:
        stream.seek(array.info.header_offset)
        signature, *lengths = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    start = array.info.header_offset + _LOCAL_HEADER.size + sum(lengths) + array.offset
    if signature != b"PK\x03\x04" or start + array.nbytes > path.stat().st_size:
        raise InputError("{name} is cut short", name=name)
    step = math.prod(array.shape[1:]) * array.dtype.itemsize
    return FileRows(path, start, step, array.shape, array.dtype)


def _read(archive: zipfile.ZipFile, array: _Array, most: int, name: str) -> NDArray[Any]:
    """All of an array. Whatever its header claims, no more is unpacked than ``most`` bytes."""
    if array.nbytes > most:
        raise InputError(
            "{name} takes {size:,.0f} MiB unpacked, more than {most}; save it with numpy.savez, "
            "uncompressed and in C order, or fewer images",
            name=name, size=array.nbytes / 2**20, most=most >> 20,
        )  # fmt: skip
    flat = np.empty(array.nbytes, np.uint8)
    done = 0
    with archive.open(array.info) as stream:
        stream.read(array.offset)
        while done < array.nbytes and (block := stream.read(min(_BLOCK, array.nbytes - done))):
            flat[done : done + len(block)] = np.frombuffer(block, np.uint8)
            done += len(block)
    if done < array.nbytes:
        raise InputError("{name} is cut short", name=name)
    return flat.view(array.dtype).reshape(array.shape, order="F" if array.fortran else "C")
