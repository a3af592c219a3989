"""The log: what ran, what it noted, how it ended."""

from __future__ import annotations

from PySide6.QtWidgets import QPlainTextEdit

from bdshift.jobs import Figures
from bdshift.words import Language, Sentence, words
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, say, tr
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
        for entry in state.log[self._shown :]:
            self.appendPlainText(lines(_line(entry)))
        self._shown = len(state.log)


def _line(entry: Sentence | Figures) -> str:
    from bdshift.purify.quantities import in_words

    if isinstance(entry, Sentence):
        return say(entry)
    return "  " + tr(
        "step {number} of {total}: {figures}",
        number=entry.number + 1, total=entry.total, figures=in_words(entry.values, language()),
    )  # fmt: skip
