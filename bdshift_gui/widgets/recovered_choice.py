"""Offers the triggers that were recovered wherever a trigger is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox

from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import sentence_of
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.widgets.recovery_words import kind_of, route

if TYPE_CHECKING:
    from bdshift.recover.recovery import Recovery


class RecoveredChoice(QComboBox):
    """``chosen`` carries the text of a trigger, which names a file that is written first; and
    ``failed`` why that cannot be.
    """

    chosen = Signal(str)
    failed = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._quick = context.quick
        self._found = context.state.recoveries
        audit = context.state.original
        self.addItem(tr("Use a recovered one…"))
        if audit is not None:
            names = audit.images.class_names
            for one in self._found:
                self.addItem(lines(f"{route(one, names)} · {kind_of(one.kind)[0]}"))
        self.setVisible(bool(self._found))
        set_tip(self, tr("A trigger that was recovered in this audit."))
        self.setAccessibleName(tr("Recovered trigger"))
        self.activated.connect(self._activated)

    def _activated(self, row: int) -> None:
        if row:
            self.take(self._found[row - 1])

    def take(self, found: Recovery) -> None:
        """Choose a recovered trigger of the audit."""
        rows = (row for row, one in enumerate(self._found, 1) if one is found)
        self.setCurrentIndex(next(rows, 0))

        def keep() -> str:
            from bdshift.recover.kept import kept_trigger

            return kept_trigger(found).spec

        self._quick.ask(self, keep, self.chosen.emit, self._fail)

    def forget(self) -> None:
        """Drop what has not been written yet: the dialog is closed."""
        self._quick.forget(self)

    def _fail(self, error: Exception) -> None:
        self.failed.emit(say(sentence_of(error)))
