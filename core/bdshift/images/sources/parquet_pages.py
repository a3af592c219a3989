"""What the pages of a Parquet column claim to unpack to, from their headers alone.

Arrow allocates whatever a page header says, up to 2 GiB, and unpacks into it; the sizes in the
file's footer are a separate claim, which nothing compares with the first. So the headers are read
before Arrow sees the column.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bdshift.errors import InputError

_MAX_DEPTH = 8
_MAX_VARINT = 10  # bytes of 64 bits
_UNPACKED, _PACKED = 2, 3  # field numbers in a page header
# Field types of Thrift's compact protocol.
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 0, 1, 2, 3, 7, 8, 12
_INTEGERS = (4, 5, 6)


def page_sizes(path: Path, start: int, length: int) -> Iterator[int]:
    """Bytes that each page in a stretch of the file claims to unpack to.

    Raises `InputError` if the headers are broken or lead out of the stretch.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        while stream.tell() < start + length:
            fields = _struct(stream, 0)
            unpacked, packed = fields.get(_UNPACKED, -1), fields.get(_PACKED, -1)
            if unpacked < 0 or packed < 0 or stream.tell() + packed > start + length:
                raise InputError("a page of its columns is broken")
            yield unpacked
            stream.seek(packed, 1)


def _struct(stream: BinaryIO, depth: int) -> dict[int, int]:
    """The integers in a struct by field number; everything else is skipped."""
    if depth > _MAX_DEPTH:
        raise InputError("a page of its columns is broken")
    fields: dict[int, int] = {}
    number = 0
    while (head := _byte(stream)) & 15 != _STOP:
        number = number + (head >> 4) if head >> 4 else _integer(stream)
        value = _value(stream, head & 15, depth)
        if value is not None:
            fields[number] = value
    return fields


def _value(stream: BinaryIO, kind: int, depth: int) -> int | None:
    if kind in _INTEGERS:
        return _integer(stream)
    if kind == _BINARY:
        stream.seek(_varint(stream), 1)
    elif kind in (_BYTE, _DOUBLE):
        stream.seek(1 if kind == _BYTE else 8, 1)
    elif kind == _STRUCT:
        _struct(stream, depth + 1)
    elif kind not in (_TRUE, _FALSE):  # page headers hold no lists, sets or maps
        raise InputError("a page of its columns is broken")
    return None


def _byte(stream: BinaryIO) -> int:
    data = stream.read(1)
    if not data:
        raise InputError("a page of its columns is cut short")
    return data[0]


def _varint(stream: BinaryIO) -> int:
    value = 0
    for position in range(_MAX_VARINT):
        byte = _byte(stream)
        value |= (byte & 127) << 7 * position
        if byte < 128:
            return value
    raise InputError("a page of its columns is broken")


def _integer(stream: BinaryIO) -> int:
    """Zigzag: 0, −1, 1, −2, …"""
    value = _varint(stream)
    return value >> 1 ^ -(value & 1)
