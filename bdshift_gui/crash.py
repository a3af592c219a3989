"""Crash reports: the stack of every thread, written to a file and offered at the next start.

Nothing is ever sent anywhere.
"""

from __future__ import annotations

import faulthandler
from pathlib import Path
from typing import IO

from PySide6.QtCore import QStandardPaths

_open: list[IO[str]] = []


def _path() -> Path:
    place = QStandardPaths.StandardLocation.AppDataLocation
    return Path(QStandardPaths.writableLocation(place)) / "crash.txt"


def watch(path: Path | None = None) -> str:
    """Start recording crashes; returns the report of the last one, or an empty string."""
    path = path or _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        left = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        stream = path.open("w", encoding="utf-8")
    except OSError:
        return ""  # the home folder is not writable: run without crash reports
    _open.append(stream)  # faulthandler keeps only its file descriptor
    faulthandler.enable(stream)
    return left


def forget() -> None:
    """After a normal exit: stop recording and delete the file."""
    faulthandler.disable()
    while _open:
        stream = _open.pop()
        stream.close()
        Path(stream.name).unlink(missing_ok=True)
