"""Files that are written completely or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bdshift.errors import InputError

if sys.platform != "win32":
    import fcntl

NAME_LENGTH = 50
"""Characters of a file's name that its part and its lock have, too: a name may take up the whole
room for one.
"""

_PART = re.compile(rf"\.(.{{1,{NAME_LENGTH}}})\.[0-9a-f]{{16}}\.part", re.DOTALL)
_STALE_SECONDS = 24 * 3600  # of a part, where the system cannot tell whether its writer lives
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def cannot_write(path: Path, error: OSError) -> InputError:
    """What to tell the user of a file that could not be written."""
    if error.errno in _NO_ROOM:
        return InputError("{path}: cannot be written, because the disk is full", path=path)
    return InputError(
        "{path}: cannot be written ({reason})", path=path, reason=error.strerror or str(error)
    )


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, if they are not there. Raises `InputError` if it cannot."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "{path}: cannot be created ({reason})", path=folder, reason=str(error.strerror)
        ) from error


@contextmanager
def written_whole(path: Path, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A new file next to ``path``, to write to and read from; its path is the stream's ``name``. If
    the block ends without an error, it is flushed to disk and gets the name ``path``; otherwise it
    is removed, and ``path`` stays as it was.

    What is at ``path`` is replaced, and passes its permissions on, or if not ``replace``, is left
    alone. What killed writers of ``path`` have left behind is removed.

    Raises `OSError` if writing fails, `FileExistsError` if something is there and may not be
    replaced.
    """
    clear_parts(path.parent, path.name)
    stream = _new_part(path)
    part = Path(stream.name)
    try:
        with stream:
            yield stream
            stream.flush()
            _pass_mode(path, part)
            os.fsync(stream.fileno())
            if sys.platform != "win32":  # until it has its name, it is locked
                _place(part, path, replace)
        if sys.platform == "win32":  # which does not rename an open file
            _place(part, path, replace)
        _flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def clear_parts(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers of files called ``name``, by default of any, left in ``folder``.
    Links, what belongs to another user and what a living writer holds are left alone.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _PART.fullmatch(entry.name)
            if found is not None and (name is None or found[1] == name[:NAME_LENGTH]):
                with suppress(FileNotFoundError):  # another writer cleared it
                    _clear(entry.path)


def remove(path: Path) -> None:
    """Remove a file that is no longer needed, if it is there, and what killed writers left of it.
    Raises `OSError` if that is not allowed.
    """
    path.unlink(missing_ok=True)
    clear_parts(path.parent, path.name)


def _new_part(path: Path) -> BinaryIO:
    """A file that was not there before: no link is followed. Its lock says that its writer lives;
    the system releases it however the writer ends.
    """
    while True:
        name = f".{path.name[:NAME_LENGTH]}.{secrets.token_hex(8)}.part"
        stream = path.with_name(name).open("x+b")
        if sys.platform == "win32":
            return stream
        with suppress(OSError):  # some network drives have no locks
            fcntl.flock(stream, fcntl.LOCK_EX)
        if _is_still(stream.fileno(), stream.name):
            return stream
        stream.close()  # another writer took it for abandoned, before it was locked


def _is_still(handle: int, path: str | Path) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _clear(path: str) -> None:
    about = os.lstat(path)
    if not stat.S_ISREG(about.st_mode):
        return
    if sys.platform == "win32":
        if time.time() - about.st_mtime > _STALE_SECONDS:
            os.unlink(path)
        return
    if about.st_uid != os.getuid():
        return
    with suppress(OSError):  # its writer holds the lock
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(handle, path):
                os.unlink(path)
        finally:
            os.close(handle)


def _pass_mode(path: Path, part: Path) -> None:
    """Who may read or write a file stays as it is when the file is replaced."""
    with suppress(FileNotFoundError):
        about = os.lstat(path)
        if stat.S_ISREG(about.st_mode):
            os.chmod(part, stat.S_IMODE(about.st_mode))


def _place(part: Path, path: Path, replace: bool) -> None:
    if replace:
        os.replace(part, path)
    elif sys.platform == "win32":
        os.rename(part, path)  # which replaces nothing there
    else:
        try:
            os.link(part, path)  # fails if something is there, and does not follow a link
        except FileExistsError:
            raise
        except OSError as error:  # a drive without hard links
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
            os.rename(part, path)


def _flush_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # Windows cannot open a folder to flush it
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
