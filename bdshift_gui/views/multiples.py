"""The page of a task vector: what each multiple removes and costs, beside a control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSlider,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from bdshift.errors import UsageError
from bdshift.spec import shortened, split_spec, write_options
from bdshift.text import figure
from bdshift_gui.actions.close_page import CLOSE_PAGE
from bdshift_gui.actions.multiples import (
    EXPORT_VECTOR,
    MEASURE_PLANE,
    has_curve,
)
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.numbers import percent
from bdshift_gui.pages import MultiplesPage
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks import purifying
from bdshift_gui.theme import Theme
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.multiples_plots import AlphaPlot, TradePlot
from bdshift_gui.widgets.plane_part import PlanePart

if TYPE_CHECKING:
    from bdshift.audit import Purification
    from bdshift.audit.unfinished import PurificationRequest
    from bdshift.purification.multiples import Multiple


@view
class MultiplesView(QWidget, View):
    """Replaces the plots while it is looked at."""

    key = "multiples"
    area = "page"
    place = 40
    reads = ("original", "chosen", "page", "plane", "job")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._curve: list[Multiple] = []
        self._control: list[Multiple] = []
        self._made: Purification | None = None
        self.setObjectName("plain")
        self.part = Choices(("curve", "plane"))
        self.part.chosen.connect(self._show_part)
        self.heading, self.conclusion, self.source = Text("finding"), Text(), Text("muted")
        self.back, self.export, self.purify = QPushButton(), QPushButton(), QPushButton()
        self.back.clicked.connect(lambda: CLOSE_PAGE.trigger(context))
        self.export.clicked.connect(lambda: EXPORT_VECTOR.trigger(context))
        self.purify.clicked.connect(self._purify)
        head = QHBoxLayout()
        head.addWidget(self.heading, 1)
        head.addWidget(self.part)
        head.addWidget(self.export)
        head.addWidget(self.back)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.valueChanged.connect(self._moved)
        self.figures = Text()
        self._chooser = Card()
        row = QHBoxLayout()
        row.addWidget(self.slider, 1)
        row.addWidget(self.purify)
        self._chooser.body.addLayout(row)
        self._chooser.body.addWidget(self.figures)
        self.alphas, self.trade = AlphaPlot(context), TradePlot(context)
        curves = QWidget()
        curves.setObjectName("plain")
        plots = QHBoxLayout(curves)
        plots.setContentsMargins(0, 0, 0, 0)
        plots.setSpacing(8)
        plots.addWidget(self.alphas, 1)
        plots.addWidget(self.trade, 1)
        self.plane = PlanePart(context, MEASURE_PLANE)
        self._parts = QStackedWidget()
        self._parts.setObjectName("plain")
        self._parts.addWidget(curves)
        self._parts.addWidget(self.plane)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.conclusion)
        column.addWidget(self.source)
        column.addWidget(self._chooser)
        column.addWidget(self._parts, 1)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.alphas.paint(theme)
        self.trade.paint(theme)
        self.plane.paint(theme)

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """While it is looked at, and the chosen purification has a curve."""
        return isinstance(state.page, MultiplesPage) and has_curve(state)

    def show_state(self, state: State) -> None:
        """Show the curve of the chosen purification."""
        if not self.wants_page(state):
            return
        from bdshift.purification.multiples import multiples

        made = state.purifications[state.chosen - 1]
        self.part.label(
            "",
            {"curve": (tr("curve"), tr("What each multiple of the vector removes, and its cost.")),
             "plane": (tr("ξ map"), tr(MEASURE_PLANE.tip))},
        )  # fmt: skip
        self.plane.show_state(state, made)
        self.heading.show_text(tr("Task vector of purification {number}", number=state.chosen))
        for button, one in ((self.back, CLOSE_PAGE), (self.export, EXPORT_VECTOR)):
            button.setText(tr(one.text))
            set_tip(button, tr(one.tip))
        self.export.setEnabled(EXPORT_VECTOR.enabled(state))
        self.purify.setText(tr("Purify with this α"))
        set_tip(
            self.purify,
            tr("Make another purified model, with the same vector and the α that is chosen here."),
        )  # fmt: skip
        self._chooser.title.show_text(tr("How much is subtracted"))
        if self._made is None or made.result is not self._made.result:
            steps = [row.step for row in made.result.rows]
            self._curve, self._control = multiples(steps), multiples(steps, control=True)
            numbers = [one.number for one in self._curve]
            kept = numbers.index(made.result.kept) if made.result.kept in numbers else 0
            self.slider.blockSignals(True)
            self.slider.setRange(0, len(self._curve) - 1)
            self.slider.setValue(kept)
            self.slider.blockSignals(False)
        self._made = made
        said = made.result.conclusion
        self.conclusion.show_text("" if said is None else say(said))
        self.source.show_text(
            ""
            if made.unlearned is None
            else tr("Unlearned: {trigger}", trigger=shortened(made.unlearned))
        )
        self._moved(self.slider.value())

    def _show_part(self) -> None:
        plane = self.part.now == "plane"
        self._parts.setCurrentIndex(int(plane))
        self._chooser.setVisible(not plane)

    def _moved(self, place: int) -> None:
        """Show what was looked at there: nothing is computed."""
        here = self._curve[place]
        self.slider.setAccessibleName(tr("How much is subtracted"))
        self.slider.setAccessibleDescription(figure(here.alpha, ".3g"))
        self.figures.show_text(
            tr("α {alpha}: accuracy {accuracy}, ASR {asr} with the trigger that was unlearned, "
               "target's recall {recall}; on held-out images.",
               alpha=figure(here.alpha, ".3g"), accuracy=percent(here.accuracy),
               asr=percent(here.asr), recall=percent(here.recall))
        )  # fmt: skip
        self.purify.setEnabled(
            not self._context.state.busy and here.alpha > 0 and self._asked() is not None
        )
        for plot in (self.alphas, self.trade):
            plot.show_curves(self._curve, self._control, place)

    def _asked(self) -> PurificationRequest | None:
        """The same purification with the α of the slider; None if this version has no such method:
        the audit may be from elsewhere.
        """
        from bdshift.audit.unfinished import PurificationRequest
        from bdshift.purification import METHODS

        made = self._made
        assert made is not None
        try:
            name, options = split_spec(made.result.method)
            alpha = self._curve[self.slider.value()].alpha
            method = METHODS.parse(write_options(name, {**options, "alpha": alpha}))
        except UsageError:
            return None
        return PurificationRequest(
            method.spec, made.result.target, made.trigger or "", made.held_out,
            made.unlearned or "", made.result.seed,
        )  # fmt: skip

    def _purify(self) -> None:
        asked = self._asked()
        if asked is not None:
            purifying.purify(self._context, (asked,))
