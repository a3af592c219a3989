"""Keeps a copy of an unsaved audit, which the next run offers if this one is killed."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from bdshift.errors import BdshiftError
from bdshift.files import KeptPath
from bdshift.locks import hold
from bdshift.text import one_line
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.tasks.opening import open_unsaved

if TYPE_CHECKING:
    from bdshift.audit import Audit

_PAUSE = 2000  # milliseconds after a change, in which others may follow
_PATIENCE = 5.0  # seconds that closing waits for a copy that is being written
_SUFFIX = ".h5"


@dataclass(frozen=True)
class _Copy:
    """A copy that an earlier run has left, of the model ``name``; ``release`` gives up its lock."""

    path: Path
    name: str
    release: Callable[[], None]


class Autosave(QObject):
    """Writes the unsaved audit of a window into ``folder``, a moment after each change, off the GUI
    thread. Once the audit is saved or discarded, the copy is removed. The copy of a window that is
    still open is locked, so that no other window takes it for one that was left behind.
    """

    def __init__(self, context: Context, folder: Path) -> None:
        super().__init__(context.session)
        self._context, self._folder = context, folder
        self._path = folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        self._release: Callable[[], None] | None = None
        self._writing = threading.Lock()
        self._wanted: Audit | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._save)
        context.session.changed.connect(self._changed)

    # The window's own copy

    @Slot(object, object)
    def _changed(self, new: State, old: State) -> None:
        if new.original is old.original and new.kept is old.kept:
            return
        if new.modified:
            self._wanted = new.original
            self._timer.start()
        elif self._wanted is not None:
            self._wanted = None
            self._timer.stop()
            self._context.quick.ask("autosave", self._remove, lambda _: None, self._failed)

    @Slot()
    def _save(self) -> None:
        wanted = self._wanted
        if wanted is not None:
            self._context.quick.ask(
                "autosave", lambda: self._write(wanted), lambda _: None, self._failed
            )

    def _failed(self, error: Exception) -> None:
        """Without a copy everything else works: only the log says so."""
        self._note(Sentence("No copy of the unsaved audit: {reason}", {"reason": str(error)}))

    def _note(self, sentence: Sentence) -> None:
        entry = Sentence("  {note}", {"note": sentence})
        self._context.session.update(log=self._context.state.logged(entry))

    def _write(self, audit: Audit) -> None:
        from bdshift.store import save_audit

        with self._writing:
            if self._wanted is not audit:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._release is None:
                self._release = hold(_owner(self._path))
            save_audit(audit, self._path)

    def _remove(self) -> None:
        with self._writing:
            if self._wanted is None:
                self._drop()

    def _drop(self) -> None:
        self._path.unlink(missing_ok=True)
        if self._release is not None:
            self._release()
            self._release = None

    def close(self) -> None:
        """The window closes, and the user knows what is not saved: remove the copy."""
        self._wanted = None
        self._timer.stop()
        if self._writing.acquire(timeout=_PATIENCE):
            with suppress(OSError):
                self._drop()
            self._writing.release()

    # What an earlier run has left

    def offer(self) -> None:
        """Ask about the newest copy that an earlier run has left, if there is one."""
        self._context.quick.ask("left", self._newest_left, self._ask, self._unread)

    def _unread(self, error: Exception) -> None:
        self._note(
            Sentence("What an earlier run has left cannot be opened: {reason}",
                     {"reason": str(error)})
        )  # fmt: skip

    def _newest_left(self) -> _Copy | None:
        """It is locked, so that no other window offers it at the same time."""
        from bdshift.store import load_audit

        left = [one for one in self._folder.glob(f"*{_SUFFIX}") if one != self._path]
        for path in sorted(left, key=lambda one: one.stat().st_mtime, reverse=True):
            release = hold(_owner(path))
            if release is None:
                continue
            with suppress(BdshiftError):  # a newer version may have written it
                model = load_audit(path).model
                return _Copy(path, one_line(KeptPath(model.path).name), release)
            release()
        return None

    def _ask(self, found: _Copy | None) -> None:
        if found is None:
            return
        if self._is_taken:
            found.release()
            return
        answer = self._context.ask.restore(
            tr("bdshift was not closed normally. Open the audit of {name} that was not saved?",
               name=found.name)
        )  # fmt: skip
        if answer == "discard":

            def discard() -> None:
                found.path.unlink(missing_ok=True)
                found.release()

            self._context.quick.ask("left", discard, lambda _: self.offer(), self._unread)
        elif answer == "open" and not self._is_taken:
            open_unsaved(self._context, found.path, lambda: self._adopt(found), found.release)
        else:
            found.release()

    @property
    def _is_taken(self) -> bool:
        """Whether the window shows something else, or is about to."""
        return self._context.state.busy or self._context.state.original is not None

    def _adopt(self, found: _Copy) -> None:
        """Go on with a copy that was left: it stays until what is in it is saved."""
        with self._writing:
            self._drop()
            self._path, self._release = found.path, found.release


def _owner(path: Path) -> Path:
    """What is locked: saving locks the copy itself."""
    return path.with_suffix(".owner")
