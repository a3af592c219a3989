"""One program at a time: a lock on a file that several may want to change."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from bdshift.errors import UsageError
from bdshift.jobs import JobContext
from bdshift.writing import NAME_LENGTH, cannot_write

if sys.platform != "win32":
    import fcntl

_PAUSE = 0.05  # seconds between two attempts


@contextmanager
def locked(path: Path, job: JobContext) -> Iterator[None]:
    """Hold the lock of the file ``path``, which need not exist. It is a file next to it, and is
    gone afterward; the system releases it if its holder is killed. While another program holds it,
    ``job`` is told once, and can stop the waiting.

    Raises `InputError` if the folder cannot be written, `Canceled`.
    """
    place = _beside(path)
    told = False
    try:
        while (handle := _take(place)) is None:
            if not told:
                job.note("{path}: another program is writing to it; waiting for it", path=path)
                told = True
            job.raise_if_canceled()
            time.sleep(_PAUSE)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield
    finally:
        _release(place, handle)


def hold(path: Path) -> Callable[[], None] | None:
    """Take the lock of the file ``path``, without waiting. Returns what releases it, once; None if
    a program holds it. Raises `OSError`.
    """
    place = _beside(path)
    handle = _take(place)
    return None if handle is None else partial(_release, place, handle)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:NAME_LENGTH]}.lock")


def _release(place: Path, handle: int) -> None:
    if sys.platform != "win32":  # there, closing it removes it
        with suppress(OSError):
            os.unlink(place)
    os.close(handle)


def _take(place: Path) -> int | None:
    """The open lock file, or None if another program holds it."""
    if sys.platform == "win32":
        try:
            return os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)
        except (FileExistsError, PermissionError):  # the latter while it is being removed
            return None
    handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise UsageError("{path}: is not an ordinary file, and is not replaced", path=place)
        if _lock(handle) and os.path.samestat(os.fstat(handle), os.lstat(place)):
            return handle
    except FileNotFoundError:
        pass  # its last holder has just removed it
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # some network drives have no locks: as without one
    return True
