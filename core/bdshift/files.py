"""Paths of this machine, and files that are opened only if they are files."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import platformdirs

from bdshift.errors import InputError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # of two letters or more: C: is a drive
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
_NO_FILES = ("/dev", "/proc", "/sys")
_MEMORY = "/dev/shm"
_NO_PLACE = "memory:"


def cache_folder() -> Path:
    """Where bdshift keeps what can be computed again; it may not be there yet."""
    return Path(platformdirs.user_cache_dir("bdshift"))


def in_memory(name: str) -> Path:
    """What stands for the path of something that is in no file. `KeptPath` takes it for none."""
    return Path(_NO_PLACE + name)


def is_in_memory(path: Path) -> bool:
    """Whether a path is one that `in_memory` made."""
    return str(path).startswith(_NO_PLACE)


def recorded(path: Path) -> str:
    """What an audit remembers of a path: where it is on this machine, if it is anywhere."""
    return str(path if is_in_memory(path) else path.absolute())


def is_on_another_machine(path: str) -> bool:
    """Whether Windows takes a path for one on another machine, which opening it would contact."""
    return path.replace("/", "\\").startswith(("\\\\", "\\??\\"))


@dataclass(frozen=True)
class KeptPath:
    """A path that a file names. The file may come from anyone, so this is only text until `local`
    has checked it.
    """

    text: str

    @property
    def name(self) -> str:
        """Its last part, by the rules of every system."""
        return self.text.replace("\\", "/").rpartition("/")[2]

    def local(self) -> Path:
        """The path. Nothing is looked up on a disk or a network to check it.

        Raises `InputError` if it leads to another machine, is a URL, or names a device.
        """
        if is_on_another_machine(self.text):
            raise InputError(
                "{path}: is on another machine; name it yourself to open it", path=self.text
            )
        if _SCHEME.match(self.text) or "\0" in self.text or self._is_device():
            raise InputError("{path}: is not the path of a file", path=self.text)
        return Path(self.text)

    def _is_device(self) -> bool:
        parts = self.text.replace("\\", "/").split("/")
        by_windows = os.name == "nt" or len(parts) == 1 or "\\" in self.text
        if by_windows and any(map(_is_device_name, parts)):
            return True
        whole = os.path.normpath(self.text)
        inside = any(whole == one or whole.startswith(f"{one}/") for one in _NO_FILES)
        return inside and not whole.startswith(f"{_MEMORY}/")

    def __str__(self) -> str:
        return self.text


def _is_device_name(part: str) -> bool:
    """Whether Windows takes a part of a path for a device, whatever suffix it has."""
    return _DEVICE.fullmatch(part.partition(".")[0].partition(":")[0].rstrip()) is not None


def usable(path: Path | KeptPath) -> Path:
    """A path that the user gave, as it is; one that a file names, once it is checked.

    Raises as `KeptPath.local` does.
    """
    return path.local() if isinstance(path, KeptPath) else path


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
