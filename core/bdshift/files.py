"""Paths of this machine, and files that are written completely or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bdshift.errors import InputError


def is_on_another_machine(path: str) -> bool:
    """Whether Windows takes a path for one on another machine, which opening it would contact."""
    return path.replace("/", "\\").startswith(("\\\\", "\\??\\"))


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read it, unless it is a device, or a pipe that would keep us waiting.

    Raises `OSError` if it cannot be opened, `InputError`, without the path, if it is no plain file.
    """
    if stat.S_ISREG(os.stat(path).st_mode):  # first: opening a device may do something
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        handle = os.open(path, flags)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
    raise InputError("is not a file but a device or a pipe")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path next to ``path`` to write to. If the block ends without an error, what was written
    there is flushed to disk and renamed over ``path``; otherwise it is removed and ``path`` stays
    as it was.

    Raises `OSError` if writing fails.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        _flush(part)
        os.replace(part, path)
        _flush(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder to flush it
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
