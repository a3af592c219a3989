"""States of purifications that were interrupted, kept where the next session finds them.

A state is what `bdshift.purify.purify` writes after each step; the card beside it says in a few
words what it is of, so that nothing large is read to offer it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from bdshift.audit.records import Audit
from bdshift.errors import InputError
from bdshift.files import written_whole

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
        for old in self._newest()[_MOST:]:
            self.forget(old)
        return path

    def find(self, audit: Audit) -> Asked | None:
        """The newest that was begun on this model with these images, if its state is there."""
        for path in self._newest():
            with suppress(OSError, ValueError, TypeError, KeyError):
                about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
                if {key: about.pop(key) for key in _of(audit)} == _of(audit):
                    return Asked(**about)
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


def _of(audit: Audit) -> dict[str, object]:
    alpha = audit.shifts.alpha  # which decides the shift that is tuned under
    return {"model": audit.model.sha256, "images": audit.images.sha256, "alpha": alpha}
