"""What is left of a crash: the stack of every thread, kept in a file and offered at the next start.

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
    """Start writing crashes down; returns what the last one left, or an empty text."""
    path = path or _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        left = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        stream = path.open("w", encoding="utf-8")
    except OSError:
        return ""  # a home that cannot be written to: the window works without
    _open.append(stream)  # the handler keeps only its number
    faulthandler.enable(stream)
    return left


def forget() -> None:
    """The window ended well: stop watching, and leave nothing."""
    faulthandler.disable()
    while _open:
        stream = _open.pop()
        stream.close()
        Path(stream.name).unlink(missing_ok=True)
