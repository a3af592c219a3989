"""Purifications: a card each, none overwritten, and the curves of the one that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import grouped, percent
from bdshift_gui.session import State
from bdshift_gui.theme import Theme
from bdshift_gui.views.curves import CurvesView
from bdshift_gui.widgets.card import Card, Rows, Text, look, plain

if TYPE_CHECKING:
    from bdshift.audit import Audit, Cleaned

_HIGH = 186  # pixels of the panel, so that the scatter keeps its room
_WIDE = 214  # of a card
_ASKED = ("show_run", "compare_run", "export_run")


def name_of(run: Cleaned | None) -> str:
    """What a model of the audit is called: the method that made it, or the original."""
    if run is None:
        return tr("original")
    name = run.run.name
    return name if run.run.complete else tr("{name} (stopped)", name=name)


def measured_on(run: Cleaned) -> str:
    """Which images its figures are of."""
    if run.test is None:
        return tr("{count} held-out clean images", count=grouped(run.count))
    return tr("{count} images of {path}", count=grouped(run.count), path=run.test)


class RunCard(Card):
    """One purification. ``asked`` carries what is wanted of it."""

    asked = Signal(str)
    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(_WIDE)
        self._rows = Rows()
        self.body.addWidget(self._rows)
        row = QHBoxLayout()
        row.setSpacing(0)
        self.buttons: dict[str, QToolButton] = {}
        for key in _ASKED:
            button = QToolButton()
            button.setObjectName("link")
            button.clicked.connect(lambda _=False, key=key: self._ask(key))
            self.buttons[key] = button
            row.addWidget(button)
        row.addStretch(1)
        self.body.addLayout(row)
        self.body.addStretch(1)

    def show_run(self, number: int, run: Cleaned, audit: Audit, *, shown: bool) -> None:
        """Show purification ``number`` of ``audit``; ``shown`` is whether all views show it."""
        from bdshift.purify.measure import der

        self.title.show_text(f"{number} · {name_of(run)}")
        target, again = run.run.target, run.rescan
        told = tr("Before and after, on {images}.", images=measured_on(run))

        def moved(before: float | None, after: float | None) -> str:
            return f"{percent(before)[:-2]} → {percent(after)}" if after is not None else "–"

        rows = [("ACC", moved(run.before.acc, run.after.acc), told)]
        if run.after.asr is not None:
            rows += [
                ("ASR", moved(run.before.asr, run.after.asr), told),
                ("DER", figure(der(run.before, run.after), ".3f"),
                 tr("Defense effectiveness rating: 1 is best, 0.5 is nothing done.")),
            ]  # fmt: skip
        norms = [figure(float(one.shifts.l2[target]), "#.3g") for one in (audit, again)]
        scores = [figure(one.verdict.scores[target].z, ".2f") for one in (audit, again)]
        rows += [
            (tr("norm"), " → ".join(norms),
             tr("L2 of the shift to the poisoned class; its z among all classes: {scores}.",
                scores=" → ".join(scores))),
        ]  # fmt: skip
        self._rows.show_rows(rows)
        words = {
            "show_run": (tr("Shown") if shown else tr("Rescan"),
                         tr("Show the purified model in all views: it was scanned again.")),
            "compare_run": (tr("Compare"), tr("Beside the original.")),
            "export_run": (tr("Export…"), tr("Write the purified model.")),
        }  # fmt: skip
        for key, (word, tip) in words.items():
            self.buttons[key].setText(word)
            self.buttons[key].setToolTip(tip)
            self.buttons[key].setAccessibleName(f"{word} {self.title.text()}")
        self.buttons["show_run"].setEnabled(not shown)
        about = (
            tr("{method}\n{seconds} s, {forwards} images forward, {backwards} back",
               method=run.run.method.replace(",", ", "), seconds=figure(run.run.seconds, ".3g"),
               forwards=grouped(run.run.forwards), backwards=grouped(run.run.backwards))
        )  # fmt: skip
        self.setToolTip(plain(about))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.chosen.emit()

    def _ask(self, key: str) -> None:
        self.chosen.emit()
        self.asked.emit(key)


class RunsView(QWidget):
    """``asked`` carries what is wanted: "purify", or of the chosen run "show_run", "compare_run",
    "export_run"; `chosen` says which that is.
    """

    asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._state = State()
        self.chosen = 0
        self.curves = CurvesView()
        self.curves.view.setMinimumHeight(90)
        self.setFixedHeight(_HIGH)
        self.purify = QPushButton()
        self.purify.setObjectName("primary")
        self.purify.clicked.connect(lambda: self.asked.emit("purify"))
        self._lead = Text("muted")
        self._first = first = Card()
        first.setFixedWidth(_WIDE)
        self._title = first.title
        first.body.addWidget(self._lead)
        first.body.addStretch(1)
        first.body.addWidget(self.purify)
        self.cards: list[RunCard] = []
        holder = QWidget()
        holder.setObjectName("plain")
        self._row = QHBoxLayout(holder)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(first)
        self._row.addStretch(1)
        self._area = QScrollArea()
        self._area.setObjectName("plain")
        self._area.setWidget(holder)
        self._area.setWidgetResizable(True)
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.viewport().setAutoFillBackground(False)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 8)
        column = QVBoxLayout()
        column.addWidget(self._area)
        row.addLayout(column, 1)
        row.addWidget(self.curves, 1)

    def paint(self, theme: Theme) -> None:
        """Take the theme's colors."""
        self.curves.paint(theme)

    def show_state(self, state: State) -> None:
        """Show the runs of ``state``, and the steps of the one that is on its way."""
        count, before = len(state.runs), len(self._state.runs)
        self._state = state
        if count != before:
            self.chosen = count
        self.purify.setText(tr("Purify…"))
        self._first.setVisible(not count)
        self._title.show_text(tr("Purifications"))
        self._lead.show_text(tr("Each makes a cleaned copy. The original is never changed."))
        while len(self.cards) < count:
            card = RunCard()
            number = len(self.cards) + 1
            card.asked.connect(self.asked)
            card.chosen.connect(lambda number=number: self.choose(number))
            self._row.insertWidget(number, card)
            self.cards.append(card)
        while len(self.cards) > count:
            card = self.cards.pop()
            self._row.removeWidget(card)
            card.deleteLater()
        for number, (card, run) in enumerate(zip(self.cards, state.runs, strict=True), 1):
            assert state.original is not None
            card.show_run(number, run, state.original, shown=number == state.shown)
        self.choose(self.chosen)

    def choose(self, number: int) -> None:
        """Choose a run, from 1; 0 for none."""
        self.chosen = number
        for at, card in enumerate(self.cards, 1):
            look(card, "chosen" if at == number else "card")
            if at == number:
                self._area.ensureWidgetVisible(card)
        self._show_curves()

    def _show_curves(self) -> None:
        if self._state.steps:
            last = self._state.steps[-1]
            name = tr("Step {number} of {total}", number=last.number + 1, total=last.total)
            self.curves.show_steps(name, [step.values for step in self._state.steps])
        elif self.chosen:
            run = self._state.runs[self.chosen - 1].run
            steps = [{**row.step.figures, **row.watched} for row in run.rows]
            name = tr("{number}: step {kept} kept", number=self.chosen, kept=run.kept + 1)
            self.curves.show_steps(name, steps, run.kept)
        else:
            self.curves.show_steps("", ())
