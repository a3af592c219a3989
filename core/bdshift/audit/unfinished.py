"""States of purifications that were interrupted, kept where the next session finds them.

A state is what `bdshift.purify.purify` writes after each step; the card beside it says in a few
words what it is of, so that nothing large is read to offer it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from bdshift._version import __version__
from bdshift.audit.records import Audit
from bdshift.errors import InputError, UsageError
from bdshift.files import written_whole
from bdshift.purify import parse_method

_MOST = 4  # states that are kept, the newest


@dataclass(frozen=True)
class Asked:
    """What `bdshift.audit.cleaning.clean_model` was asked, as text and numbers."""

    method: str
    target: int
    trigger: str
    held: float


class Unfinished:
    """A folder of states; by default in the user's cache."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(platformdirs.user_cache_dir("bdshift")) / "purifications"

    def begin(self, audit: Audit, asked: Asked) -> Path:
        """Where the state of this purification is to be kept, or lies already.

        Raises `InputError` if the folder cannot be written.
        """
        about = {**_of(audit), **asdict(asked)}
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
        path = self.folder / f"{name}.state"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with written_whole(path.with_suffix(".json")) as part:
                part.write_text(json.dumps(about), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.strerror})") from error
        for old in [one for one in self._newest() if one != path][_MOST:]:
            self.forget(old)
        return path

    def find(self, audit: Audit, but: Collection[Path] = ()) -> Asked | None:
        """The newest that was begun on this audit, if its state is there and none of ``but``."""
        for path in self._newest():
            if path in but:
                continue
            with suppress(OSError, ValueError, TypeError, KeyError, UsageError):
                about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
                if {key: about.pop(key) for key in _of(audit)} == _of(audit):
                    asked = Asked(**about)
                    parse_method(asked.method)
                    return asked
        return None

    def forget(self, path: Path) -> None:
        """Remove a state: what it led to is in a file of its own."""
        for one in (path, path.with_suffix(".json")):
            with suppress(OSError):
                one.unlink()

    def _newest(self) -> list[Path]:
        found = []
        for path in self.folder.glob("*.state"):
            with suppress(OSError):
                found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found, reverse=True)]


def _of(audit: Audit) -> dict[str, str]:
    """All that decides whether a state fits: the shifts stand for α and preprocessing too."""
    return {
        "model": audit.model.sha256,
        "images": audit.images.sha256,
        "shifts": hashlib.sha256(audit.shifts.shift.tobytes()).hexdigest(),
        "bdshift": __version__,
    }
