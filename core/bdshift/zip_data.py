"""Zips that may come from anyone: what their directory holds is counted before it is parsed, and
only what can be unpacked in small steps is unpacked.

Python's `zipfile` takes time that grows with the square of an entry's extra fields; it unpacks
bzip2 and LZMA without a limit, so that a few kilobytes become gigabytes.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from bdshift.errors import InputError

MAX_ENTRIES = 2_000_000
_MAX_EXTRA = 1024  # bytes of extra fields; times and long sizes take less than a hundred
_MAX_COMMENT = 65_535
_END = struct.Struct("<4s8xLLH")  # signature, …, length of the directory, its start, comment
_LOCATOR64, _END64 = struct.Struct("<4s4xQ4x"), struct.Struct("<4s36xQ8x")
_ENTRY = struct.Struct("<4s24x3H12x")  # signature, …, lengths of name, extra and comment


def open_zip(source: Path | BinaryIO) -> zipfile.ZipFile:
    """A zip to read from.

    Raises `InputError` if its directory asks for too much, and what `zipfile.ZipFile` raises.
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:
            _check_directory(stream)
    else:
        _check_directory(source)
    return zipfile.ZipFile(source)


def check_method(info: zipfile.ZipInfo) -> None:
    """Raise `InputError` if an entry is neither stored nor deflated."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError("is compressed in a way that is not read; zip it again with Deflate")


def _check_directory(stream: BinaryIO) -> None:
    """Count the entries where `zipfile` looks for them: right before the last end record."""
    size = stream.seek(0, 2)
    start = max(0, size - _END.size - _MAX_COMMENT)
    stream.seek(start)
    tail = stream.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        return  # zipfile says that it is none
    length, end = _END.unpack_from(tail, at)[1], start + at
    stream.seek(max(0, end - _LOCATOR64.size))
    if (located := stream.read(_LOCATOR64.size))[:4] == b"PK\6\7":
        end -= _LOCATOR64.size + _END64.size
        stream.seek(max(0, end))
        record = stream.read(_END64.size)
        if len(located) < _LOCATOR64.size or record[:4] != b"PK\6\6":
            return
        length = _END64.unpack(record)[1]
    if length > end:
        return
    stream.seek(end - length)
    entries, read = 0, 0
    while read < length and len(head := stream.read(_ENTRY.size)) == _ENTRY.size:
        signature, name, extra, comment = _ENTRY.unpack(head)
        if signature != b"PK\1\2":
            return
        entries += 1
        if entries > MAX_ENTRIES:
            raise InputError("is a zip of more than {most:,} entries", most=MAX_ENTRIES)
        if extra > _MAX_EXTRA:
            raise InputError("is a zip whose entries carry too much besides their data")
        stream.seek(name + extra + comment, 1)
        read += _ENTRY.size + name + extra + comment
