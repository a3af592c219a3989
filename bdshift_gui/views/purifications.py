"""One card per purification, and the curves of the chosen one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import figure, grouped
from bdshift_gui.action import Action
from bdshift_gui.actions.close_page import CLOSE_PAGE
from bdshift_gui.actions.compare import COMPARE, RESCAN
from bdshift_gui.actions.export import EXPORT_MODEL
from bdshift_gui.actions.purify import PURIFY
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.models import measured_on, name_of, what_is_found
from bdshift_gui.numbers import percent
from bdshift_gui.pages import PurificationsPage
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.theme import Theme
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, Elided, KeyValueRows, Text, look
from bdshift_gui.widgets.curves_plot import CurvesPlot

if TYPE_CHECKING:
    from bdshift.audit import Audit, Purification

_MIN_PLOT = 130  # height, in pixels
_CARD_WIDTH, _CARD_HEIGHT = 238, 178  # and of the scroll bar below
_LOW_WINDOW = 680  # height, in pixels, below which the curves get the room of the lead
_ACTIONS = (RESCAN, COMPARE, EXPORT_MODEL)


class PurificationCard(Card):
    """One purification; a click chooses it."""

    def __init__(self, context: Context, number: int) -> None:
        super().__init__()
        self._context, self._number = context, number
        self.setFixedWidth(_CARD_WIDTH)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.verdict, self._rows = Elided(), KeyValueRows()
        self.body.addWidget(self.verdict)
        self.body.addWidget(self._rows)
        row = QHBoxLayout()
        row.setSpacing(0)
        self.buttons: dict[str, QToolButton] = {}
        for one in _ACTIONS:
            button = QToolButton()
            button.setObjectName("link")
            button.clicked.connect(lambda _=False, one=one: self._ask(one))
            self.buttons[one.key] = button
            row.addWidget(button)
        row.addStretch(1)
        self.body.addLayout(row)
        self.body.addStretch(1)

    def show_purification(self, made: Purification, audit: Audit, state: State) -> None:
        """Show a purification of ``audit``."""
        from bdshift.detect.rule import z_scores
        from bdshift.measure import der
        from bdshift.purification import quantities as q

        shown = self._number == state.shown
        self.title.show_text(f"{self._number} · {name_of(made)}")
        self.setAccessibleName(self.title.text())
        target, result = made.result.target, made.result
        about = tr("Before and after, on {images}.", images=measured_on(made))

        def moved(before: float | None, after: float | None) -> str:
            return f"{percent(before)[:-1]} → {percent(after)}" if after is not None else "–"

        found = what_is_found(made)
        self.verdict.show_text(say(found.sentence))
        look(self.verdict, found.style)
        rows = [("ACC", moved(made.before.acc, made.after.acc), f"{tr(q.ACC_HELP)}\n{about}")]
        if made.after.asr is not None:
            rows += [
                ("ASR", moved(made.before.asr, made.after.asr), f"{tr(q.ASR_HELP)}\n{about}"),
                ("DER", figure(der(made.before, made.after), ".3f"),
                 tr("Defense effectiveness rating: 1 is best, 0.5 means no effect.")),
            ]  # fmt: skip
        both = audit.shifts, made.rescan.shifts
        norms = [figure(float(one.l2[target]), "#.3g") for one in both]
        scores = [figure(float(z_scores(one.l2)[target]), ".2f") for one in both]
        alphas = dict.fromkeys(figure(one.alpha) for one in both)
        as_set = list(alphas) == [figure(state.alpha)]
        alpha = " → ".join(alphas)
        rows.append(
            ("L2" if as_set else f"L2 (α {alpha})", " → ".join(norms),
             tr("L2 of the shift to the poisoned class, for α = {alpha}; its z among all classes: "
                "{scores}.",
                alpha=alpha, scores=" → ".join(scores)))
        )  # fmt: skip
        self._rows.show_rows(rows)
        labels = {
            RESCAN.key: tr("Shown") if shown else tr("Show"),
            COMPARE.key: tr("Compare it"),
            EXPORT_MODEL.key: tr("Export…"),
        }
        chosen = replace(state, chosen=self._number)  # as a click on a button makes it
        for one in _ACTIONS:
            button = self.buttons[one.key]
            button.setText(labels[one.key])
            set_tip(button, tr(one.tip))
            button.setAccessibleName(f"{labels[one.key]} {self.title.text()}")
            button.setEnabled(one.enabled(chosen) and not (one is RESCAN and shown))
        cost = tr("{method}\n{seconds} s, {forwards} images forward, {backwards} backward",
                  method=result.method.replace(",", ", "), seconds=figure(result.seconds, ".3g"),
                  forwards=grouped(result.forwards),
                  backwards=grouped(result.backwards))  # fmt: skip
        why = say(result.why_kept)
        said = [] if result.conclusion is None else [say(result.conclusion)]
        set_tip(self, "\n".join([*said, why[:1].upper() + why[1:], cost]))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._context.selection.choose_purification(self._number)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._context.selection.choose_purification(self._number)
        else:
            super().keyPressEvent(event)

    def _ask(self, one: Action) -> None:
        self._context.selection.choose_purification(self._number)
        one.trigger(self._context)


@view
class PurificationsView(QWidget, View):
    """All purifications of the audit, and how the chosen one went. Replaces the plots while they
    are looked at.
    """

    key = "purifications"
    area = "page"
    place = 40
    reads = ("original", "shown", "chosen", "steps", "doing", "job", "alpha", "page")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.setObjectName("plain")
        self.heading, self._lead = Text("finding", wrap=False), Text("muted")
        self._said = ""
        self.purify, self.back = QPushButton(), QPushButton()
        self.purify.clicked.connect(lambda: PURIFY.trigger(context))
        self.back.clicked.connect(lambda: CLOSE_PAGE.trigger(context))
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        head.addWidget(self.purify)
        head.addWidget(self.back)
        self.curves = CurvesPlot(context)
        self.curves.view.setMinimumHeight(_MIN_PLOT)
        self.cards: list[PurificationCard] = []
        holder = QWidget()
        holder.setObjectName("plain")
        self._row = QHBoxLayout(holder)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addStretch(1)
        self._area = QScrollArea()
        self._area.setObjectName("plain")
        self._area.setWidget(holder)
        self._area.setWidgetResizable(True)
        self._area.setFixedHeight(_CARD_HEIGHT)
        self._area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.viewport().setAutoFillBackground(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self._lead)
        column.addWidget(self._area)
        column.addWidget(self.curves, 1)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.curves.paint(theme)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        low = self.window().height() < _LOW_WINDOW
        self._lead.show_text("" if low else self._said)

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """While they are looked at."""
        return isinstance(state.page, PurificationsPage)

    def show_state(self, state: State) -> None:
        """Show the purifications of ``state``, and the steps of the one that is running."""
        all_made, original = state.purifications, state.original
        for button, one in ((self.purify, PURIFY), (self.back, CLOSE_PAGE)):
            button.setText(tr(one.text))
            button.setEnabled(one.enabled(state))
            set_tip(button, tr(one.tip))
        self.heading.show_text(tr("Purifications"))
        self._said = _lead(state)
        self._arrange()
        set_tip(self.heading, self._said)
        while len(self.cards) < len(all_made):
            card = PurificationCard(self._context, len(self.cards) + 1)
            self.cards.append(card)
            self._row.insertWidget(len(self.cards) - 1, card)
        while len(self.cards) > len(all_made):
            card = self.cards.pop()
            self._row.removeWidget(card)
            card.hide()  # at once: it is deleted later
            card.deleteLater()
        self._area.setVisible(bool(all_made))
        for number, (card, made) in enumerate(zip(self.cards, all_made, strict=True), 1):
            assert original is not None
            card.show_purification(made, original, state)
            look(card, "chosen" if number == state.chosen else "card")
            if number == state.chosen:
                self._area.ensureWidgetVisible(card)
        self._show_curves(state)

    def _show_curves(self, state: State) -> None:
        from bdshift.measure import before_steps

        if state.purifying is not None:
            steps = {step.number + 1: step.values for step in state.steps}
            total = max((step.total for step in state.steps), default=0)
            last = max(steps, default=0)
            name = tr("Step {number} of {total}", number=last, total=total)
            doing = tr("The network is measured before the first step; the curves begin with that.")
            if state.doing is not None:
                doing = f"{say(state.doing)} …\n{doing}"
            self.curves.show_steps(
                name if last else tr("No step is finished yet"), steps, total=total, waits=doing
            )
        elif state.chosen:
            made = state.purifications[state.chosen - 1]
            result = made.result
            steps = {
                row.step.number + 1: {**row.step.figures, **row.watched} for row in result.rows
            }
            known = before_steps(made.before, held_out=made.test is None)
            name = tr("{number}: step {kept} kept", number=state.chosen, kept=result.kept + 1)
            self.curves.show_steps(name, {0: known, **steps}, result.kept + 1)
        else:
            self.curves.show_steps("", {})


def _lead(state: State) -> str:
    """Why a step of the chosen purification was kept; without one, what purifying does."""
    if state.chosen and state.purifying is None:
        made = state.purifications[state.chosen - 1]
        return f"{state.chosen} · {name_of(made)}: {say(made.result.why_kept)}"
    return tr("Each purification makes a copy. The original is never changed.")
