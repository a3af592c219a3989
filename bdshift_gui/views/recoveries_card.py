"""The triggers that were recovered, each as a small picture that opens its page."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout

from bdshift.text import one_line
from bdshift_gui.actions.recover import SHOW_RECOVERY
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks import recovering
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, Elided, Text, look
from bdshift_gui.widgets.pictures import Picture
from bdshift_gui.widgets.recovery_words import (
    pictures_of,
    route,
    what_it_does,
    why_it_differs,
)

_SIDE = 44


@view
class RecoveriesCard(Card, View):
    """One row per recovered trigger; and one for the search, if its page was closed."""

    key = "recoveries"
    area = "cards"
    place = 15
    reads = ("original", "recovering", "recovery")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.rows: list[_Row] = []
        self._running = _Row(context, 0)
        self.body.addWidget(self._running)
        self.differs = Text("muted")
        self.body.addWidget(self.differs)

    def show_state(self, state: State) -> None:
        """Show the recovered triggers of the audit."""
        found, running = state.recoveries, state.recovering is not None
        self.setVisible(running or bool(found))
        self._running.setVisible(running)
        while len(self.rows) < len(found):
            row = _Row(self._context, len(self.rows) + 1)
            self.rows.append(row)
            self.body.insertWidget(self.body.indexOf(self.differs), row)
        while len(self.rows) > len(found):
            row = self.rows.pop()
            self.body.removeWidget(row)
            row.deleteLater()
        if state.original is None:
            return
        self.title.show_text(
            tr("Recovered trigger") if len(found) + running < 2 else tr("Recovered triggers")
        )
        names = state.original.images.class_names
        for number, (row, one) in enumerate(zip(self.rows, found, strict=True), 1):
            about = f"ASR {percent(one.asr)}"
            row.show_row(route(one, names), about, what_it_does(one, names))
            row.picture.show_pixels(pictures_of(one)[0], "", about)
            look(row, "chosen" if number == state.recovery else "plain")
        self.differs.show_text(why_it_differs(state.original, found))
        if running:
            self._running.show_row(tr("Searching…"), "", tr("Show what the search finds."))
            look(self._running, "chosen" if state.recovery == 0 else "plain")


class _Row(QFrame):
    def __init__(self, context: Context, number: int) -> None:
        super().__init__()
        self.setObjectName("plain")
        self.picture = Picture(_SIDE, caption=False)
        self._name, self._about = Elided("value"), Elided("muted")
        self.show_it = QToolButton()
        self.show_it.setObjectName("link")
        self.show_it.clicked.connect(lambda: recovering.show(context, number))
        self.picture.setVisible(number > 0)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._name)
        words.addWidget(self._about)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 4, 4, 4)
        row.setSpacing(8)
        row.addWidget(self.picture)
        row.addLayout(words, 1)
        row.addWidget(self.show_it)

    def show_row(self, name: str, about: str, tip: str) -> None:
        """Show a recovered trigger's name and figures."""
        self._name.show_text(name)
        self._about.show_text(about)
        self._about.setVisible(bool(about))
        self.show_it.setText(tr("Show"))
        set_tip(self.show_it, tr(SHOW_RECOVERY.tip))
        self.show_it.setAccessibleName(f"{tr('Show')} {one_line(name)}")
        set_tip(self, tip)
