"""States of interrupted purifications, kept where the next session finds them.

A state is what `bdshift.purification.purify` writes after each step; the small JSON file next to it
says what it belongs to, so that nothing large is read to offer it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bdshift._version import __version__
from bdshift.audit.records import Audit
from bdshift.errors import UsageError
from bdshift.files import cache_folder
from bdshift.outputs import Output
from bdshift.purification import METHODS
from bdshift.resume import is_state
from bdshift.writing import cannot_write, clear_parts, remove

_MAX_STATES = 4  # to keep, the newest


@dataclass(frozen=True)
class PurificationRequest:
    """Arguments of `bdshift.audit.purifying.purify_model`, as text and numbers."""

    method: str
    target: int
    trigger: str
    held_out: float
    unlearn: str = ""
    seed: int = 0


class Unfinished:
    """A folder of states; by default in the user's cache."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "purifications"

    def begin(self, audit: Audit, asked: PurificationRequest) -> Path:
        """Where the state of this purification is to be kept, or already is. What is no state, or
        damaged, is removed.

        Raises `InputError` if the folder cannot be written.
        """
        about = {**_of(audit), **asdict(asked)}
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]
        path = self.folder / f"{name}.state"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            clear_parts(self.folder)
            if not is_state(path):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        Output(path.with_suffix(".json"), overwrite=True).write_text(json.dumps(about))
        for old in [one for one in self._newest() if one != path][_MAX_STATES:]:
            self.forget(old)
        return path

    def find(self, audit: Audit, but: Collection[Path] = ()) -> PurificationRequest | None:
        """The newest one begun on this audit whose state exists and is not in ``but``."""
        for path in self._newest():
            if path in but:
                continue
            with suppress(OSError, ValueError, TypeError, KeyError, UsageError):
                about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
                if {key: about.pop(key) for key in _of(audit)} == _of(audit):
                    asked = PurificationRequest(**about)
                    METHODS.parse(asked.method)
                    return asked
        return None

    def forget(self, path: Path) -> None:
        """Remove a state: its result has its own file."""
        for one in (path, path.with_suffix(".json")):
            with suppress(OSError):
                remove(one)

    def _newest(self) -> list[Path]:
        found = []
        for path in self.folder.glob("*.state"):
            with suppress(OSError):
                found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found, reverse=True)]


def _of(audit: Audit) -> dict[str, str]:
    """Everything that decides whether a state fits; the shifts cover α and preprocessing, too."""
    return {
        "model": audit.model.sha256,
        "images": audit.images.sha256,
        "shifts": hashlib.sha256(audit.shifts.shift.tobytes()).hexdigest(),
        "bdshift": __version__,
    }
