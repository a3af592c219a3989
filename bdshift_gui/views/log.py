"""The log: what ran and when, what it noted, how it ended."""

from __future__ import annotations

from PySide6.QtWidgets import QPlainTextEdit

from bdshift.words import Language, words
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.log_text import log_text
from bdshift_gui.plain import lines
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
        self._language: Language | None = None

    def show_state(self, state: State) -> None:
        """Add the lines that are new; in another language, all of them."""
        self.setAccessibleName(tr("Log"))
        if self._language != language():
            self._language, self._shown = language(), 0
            self.clear()
        for one in state.log[self._shown :]:
            self.appendPlainText(lines(log_text((one,), language())))
        self._shown = len(state.log)
