"""Where results go, and what must not be lost by writing them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from bdshift.errors import InputError, UsageError
from bdshift.writing import cannot_write, written_whole


@dataclass(frozen=True)
class Output:
    """A file that is to be written.

    Attributes:
        path: of the file.
        overwrite: whether a file that is there is replaced.
        inputs: what the result is made of, files and folders. None of these files is ever replaced,
            nor any in these folders, whatever name or link leads there.
        resumed: whether an earlier run that was killed may have written it already: then a file
            with the very same content is as good as written.
    """

    path: Path
    overwrite: bool = False
    inputs: tuple[Path, ...] = ()
    resumed: bool = False

    def check(self) -> None:
        """Refuse what must not be written. To be called before long work; `written` checks again.

        Raises `UsageError` if it is an input, no ordinary file (a folder, a link, a device), or
        exists and may not be overwritten; `InputError` if there is no folder to write to.
        """
        path = self.path
        folder = path.absolute().parent
        if not folder.is_dir():
            raise InputError(
                "{path}: cannot be written, because there is no such folder", path=path
            )
        if not os.access(folder, os.W_OK):
            raise cannot_write(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot_write(path, error) from error
        if any(_holds(one, path) for one in self.inputs):
            raise UsageError(
                "{path}: is an input, and is not replaced; write to another file", path=path
            )
        if not stat.S_ISREG(found.st_mode):
            raise UsageError("{path}: is not an ordinary file, and is not replaced", path=path)
        if not (self.overwrite or self.resumed):
            raise self._exists()

    @contextmanager
    def written(self) -> Iterator[BinaryIO]:
        """The file, as `bdshift.files.written_whole` makes it. Make large things in memory first:
        libraries that write files themselves do not survive a full disk.

        Raises as `check` does, and `InputError` if it cannot be written.
        """
        self.check()
        try:
            with written_whole(self.path, replace=self.overwrite) as stream:
                yield stream
                self.check()
        except FileExistsError as error:
            raise self._exists() from error
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def is_written(self, content: bytes | memoryview) -> bool:
        """Whether a run that was killed afterward has written this very content."""
        try:
            about = os.lstat(self.path)
            same = stat.S_ISREG(about.st_mode) and about.st_size == len(content)
            return self.resumed and same and self.path.read_bytes() == content
        except OSError:
            return False

    def write(self, content: bytes | memoryview) -> None:
        """Write it, if it is not there. Raises as `written` does."""
        if self.is_written(content):
            return
        with self.written() as stream:
            stream.write(content)

    def write_text(self, text: str) -> None:
        """Write text as UTF-8; names of files in it may be invalid text. Raises as `written`."""
        self.write(text.encode("utf-8", "backslashreplace"))

    def beside(self, suffix: str) -> Output:
        """The file next to it with ``suffix`` after its name."""
        return replace(self, path=self.path.with_name(self.path.name + suffix))

    def _exists(self) -> UsageError:
        return UsageError("{path}: exists; --overwrite replaces it", path=self.path)


def check_apart(outputs: Sequence[Output]) -> None:
    """Raise `UsageError` if two of them are one file."""
    known = set()
    for one in outputs:
        place = os.path.realpath(one.path)
        if place in known:
            raise UsageError("{path}: is named for two outputs", path=one.path)
        known.add(place)


def _holds(source: Path, path: Path) -> bool:
    """Whether ``path`` is the file ``source``, by any name, or in the folder ``source``."""
    if _is_same(source, path):
        return True
    return any(_is_same(source, one) for one in Path(os.path.realpath(path)).parents)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False
