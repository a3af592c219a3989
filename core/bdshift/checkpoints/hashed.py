"""A file that is hashed first and read later, when tensors are needed: what is read is what was
hashed, even if somebody writes to the file in between.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

from bdshift.errors import InputError
from bdshift.files import open_regular
from bdshift.jobs import SILENT, JobContext

_BLOCK = 1024 * 1024
_REPORT_EVERY = 8  # blocks


class HashedFile:
    """The bytes of a file as they were when this was made. It keeps a digest of every MiB, and
    compares whatever it reads again: nothing is held in memory, and nothing is mapped into it.

    Attributes:
        path: of the file.
        size: in bytes.
        sha256: of all its bytes, in hex.
    """

    def __init__(self, path: Path, *, job: JobContext = SILENT) -> None:
        """Read it once.

        Raises `InputError`, without the path, if it is no plain file, or is being written to.
        """
        self.path = path
        self._digests: list[bytes] = []
        self._last: tuple[int, bytes] = (-1, b"")
        whole = hashlib.sha256()
        with open_regular(path) as stream:
            self.size = os.fstat(stream.fileno()).st_size
            for done in range(0, self.size, _BLOCK):
                block = stream.read(min(_BLOCK, self.size - done))
                whole.update(block)
                self._digests.append(hashlib.sha256(block).digest())
                if len(self._digests) % _REPORT_EVERY == 1:
                    job.progress("Hashing the checkpoint", done + len(block), self.size, "bytes")
            if stream.tell() != self.size or os.fstat(stream.fileno()).st_size != self.size:
                raise _changed()
        self.sha256 = whole.hexdigest()

    def read(self, start: int, length: int) -> bytearray:
        """``length`` bytes from ``start``; fewer at the end of the file.

        Raises `InputError`, without the path, if they are no longer those that were hashed.
        """
        end = min(start + length, self.size)
        data = bytearray(max(0, end - start))
        view = memoryview(data)
        for number in range(start // _BLOCK, -(-end // _BLOCK)):
            first = number * _BLOCK
            last = min(first + _BLOCK, self.size)
            if start <= first and last <= end:
                self._fill(number, view[first - start : last - start])
            else:
                low, high = max(start, first), min(end, last)
                view[low - start : high - start] = self._block(number)[low - first : high - first]
        return data

    def stream(self) -> BinaryIO:
        """The file as a stream that can seek; every byte goes through `read`."""
        return io.BufferedReader(_Stream(self))

    def _block(self, number: int) -> bytes:
        """A block that is needed in part; the last one is kept, for the small tensors in it."""
        known, block = self._last
        if known != number:
            data = bytearray(min(_BLOCK, self.size - number * _BLOCK))
            self._fill(number, memoryview(data))
            block = bytes(data)
            self._last = (number, block)
        return block

    def _fill(self, number: int, into: memoryview) -> None:
        try:
            with open_regular(self.path) as stream:
                stream.seek(number * _BLOCK)
                count = stream.readinto(into)  # type: ignore[attr-defined]
        except (OSError, InputError) as error:  # it is gone, or no file any more
            raise _changed() from error
        if count != len(into) or hashlib.sha256(into).digest() != self._digests[number]:
            raise _changed()


def _changed() -> InputError:
    return InputError("has changed while it was being read; open it again")


class _Stream(io.RawIOBase):
    """Reads a `HashedFile` from its start."""

    def __init__(self, file: HashedFile) -> None:
        self._file, self._position = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position
