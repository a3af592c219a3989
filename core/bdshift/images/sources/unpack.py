"""Reads compressed files forward only, in bounded steps, up to a bounded length."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from bdshift.errors import InputError
from bdshift.words import Sentence

UNPACK_ERRORS = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error)
"""Errors that reading a broken compressed file raises."""

_BLOCK = 1024 * 1024
_MAX_XZ_MEMORY = 128 * 1024 * 1024
"""Bytes for the dictionary of an xz file, which may ask for 4 GiB; `xz -9` takes 65 MiB."""


class _XzStream(io.RawIOBase):
    """An unpacked xz file. `lzma.open` has no memory limit."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._unpack = lzma.LZMADecompressor(memlimit=_MAX_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """The next bytes; 0 at the end. Raises `EOFError` and `lzma.LZMAError`."""
        data = b""
        while not data:
            if self._unpack.eof:
                rest = (self._unpack.unused_data or self._file.read(_BLOCK)).lstrip(b"\0")
                if not rest:
                    return 0
                self._unpack = lzma.LZMADecompressor(memlimit=_MAX_XZ_MEMORY)
            else:
                rest = self._file.read(_BLOCK) if self._unpack.needs_input else b""
                if not rest and self._unpack.needs_input:
                    raise EOFError("the file is cut short")
            data = self._unpack.decompress(rest, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


_OPENERS: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lambda path: io.BufferedReader(_XzStream(path), _BLOCK),
}


def is_compressed(head: bytes) -> bool:
    """Whether a file that starts like this is in gzip, bzip2 or xz format."""
    return head.startswith(tuple(_OPENERS))


def open_unpacked(path: Path) -> BinaryIO:
    """The bytes inside a gzip, bzip2 or xz file, or the file's own if it is none of them."""
    with path.open("rb") as stream:
        head = stream.read(8)
    for start, opener in _OPENERS.items():
        if head.startswith(start):
            return cast(BinaryIO, opener(path))
    return path.open("rb")


class Forward:
    """A stream that is only read forward, at most ``most`` bytes of it if that is given.

    Attributes:
        position: bytes read or skipped so far.
    """

    def __init__(self, stream: BinaryIO, most: int | None, too_long: Sentence) -> None:
        """``too_long`` is what the `InputError` beyond ``most`` says."""
        self._stream = stream
        self._most = most
        self._too_long = too_long
        self.position = 0
        plain = isinstance(stream, io.BufferedReader) and stream.seekable()
        self._end = stream.seek(0, io.SEEK_END) if plain else None
        if plain:
            stream.seek(0)

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes; fewer only at the end."""
        self._advance(count)
        data = b""
        if count <= _BLOCK:
            data = self._stream.read(count)
            count -= len(data)
            if not data or not count:
                return data
        whole = io.BytesIO()  # parts in a list would be in memory twice when they are joined
        whole.write(data)
        while count and (part := self._stream.read(min(count, _BLOCK))):
            whole.write(part)
            count -= len(part)
        return whole.getvalue()

    def skip(self, count: int) -> None:
        """Skip the next ``count`` bytes."""
        self._advance(count)
        if self._end is not None:
            self._stream.seek(min(self.position, self._end))  # a system may refuse far more
            return
        while count and (part := self._stream.read(min(count, _BLOCK))):
            count -= len(part)

    def _advance(self, count: int) -> None:
        self.position += count
        if self._most is not None and self.position > self._most:
            raise InputError(self._too_long)
