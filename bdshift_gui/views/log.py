"""The log: what ran, what it noted, how it ended."""

from __future__ import annotations

from PySide6.QtWidgets import QPlainTextEdit

from bdshift.words import words
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.view import View, view


@view
class LogView(QPlainTextEdit, View):
    """One line after another."""

    key = "log"
    area = "below"
    place = 40
    title_of_panel = words("Log", ja="ログ")
    reads = ("log",)
    of_audit = False

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setReadOnly(True)
        self._shown = 0

    def show_state(self, state: State) -> None:
        """Add the lines that are new."""
        self.setAccessibleName(tr("Log"))
        for line in state.log[self._shown :]:
            self.appendPlainText(line)
        self._shown = len(state.log)
