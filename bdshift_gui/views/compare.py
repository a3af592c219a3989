"""Any two models of an audit side by side: figures, classes, neurons, changed images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import figure
from bdshift_gui.actions.close_page import CLOSE_PAGE
from bdshift_gui.actions.export import EXPORT_TABLE
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.models import measured_on, name_of
from bdshift_gui.numbers import percent
from bdshift_gui.pages import ComparisonPage
from bdshift_gui.plain import PlainLabel, lines, set_tip
from bdshift_gui.session import State
from bdshift_gui.tasks.showing import as_judged
from bdshift_gui.theme import Theme
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Card, Text
from bdshift_gui.widgets.changed_images import ChangedImages
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.neuron_plot import NeuronPlot
from bdshift_gui.widgets.outcome_bars import ModelFigures, OutcomeBars
from bdshift_gui.widgets.paired_bars import PairedBars
from bdshift_gui.widgets.table_rows import Column
from bdshift_gui.widgets.tables import DataTable

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.comparison import Comparison


_COLUMNS = 6
_NARROW = 740  # pixels; below, the bars are not beside the table
_MIN_WIDTH = 480  # pixels; below, the page scrolls sideways
_MIN_PLOT = 160  # pixels of the height of a plot; below, the page scrolls
_MAX_ROWS = 5  # of the table, without scrolling it
_NAME_LETTERS = 8  # letters of a model's name


@view
class CompareView(QWidget, View):
    """Replaces the plots while two models are compared."""

    key = "compare"
    area = "page"
    place = 10
    reads = ("original", "rule", "comparing", "job")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.setObjectName("plain")
        self.sides = ChoiceBox(), ChoiceBox()
        self._rendering = False
        policy = ChoiceBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        for box in self.sides:
            box.setSizeAdjustPolicy(policy)
            box.setMinimumContentsLength(_NAME_LETTERS)
            box.currentIndexChanged.connect(self._chosen)
        self._between = PlainLabel("→")
        self.heading = Text("finding", wrap=False)
        self.close_button = QPushButton()
        self.close_button.clicked.connect(lambda: CLOSE_PAGE.trigger(context))
        self.finding = Text()
        head, which = QHBoxLayout(), QHBoxLayout()
        head.addWidget(self.heading, 1)
        head.addWidget(self.close_button)
        which.addWidget(self.sides[0], 1)
        which.addWidget(self._between)
        which.addWidget(self.sides[1], 1)
        self._all, self.outcomes = Card(), OutcomeBars(context)
        self._all.title.setWordWrap(False)
        self.table = DataTable("models", context.settings)
        self.export = QPushButton()
        self.export.clicked.connect(lambda: EXPORT_TABLE.trigger(context))
        self.what = Choices(("table", "plot"))
        self._all.corner.addWidget(self.what)
        self._all.corner.addWidget(self.export)
        self._all.body.addWidget(self.table)
        self._all.body.addStretch(1)
        self.bars, self.images = PairedBars(context), ChangedImages()
        self.neurons = NeuronPlot(context), NeuronPlot(context)
        for plot in self.neurons:
            plot.view.setMinimumHeight(_MIN_PLOT)
        self._grid = grid = QGridLayout()
        self._is_narrow: bool | None = None
        grid.setSpacing(8)
        self._place = QStackedLayout()  # shows one of the two
        for card, what in ((self._all, self.what), (self.outcomes, self.outcomes.what)):
            self._place.addWidget(card)
            what.chosen.connect(self._choose)
        for x in range(_COLUMNS):
            grid.setColumnStretch(x, 1)
        self._arrange(narrow=False)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 0, 4, 0)
        column.setSpacing(8)
        column.addLayout(head)
        column.addLayout(which)
        column.addWidget(self.finding)
        column.addLayout(grid, 1)

    def _arrange(self, *, narrow: bool) -> None:
        """Put the bars beside the table, or below it where that would cut both."""
        if narrow == self._is_narrow:
            return
        self._is_narrow, grid, below = narrow, self._grid, int(narrow)
        while grid.count():
            grid.takeAt(0)
        table = _COLUMNS if narrow else 4  # the table needs more than the bars
        grid.addLayout(self._place, 0, 0, 1, table)
        if narrow:
            grid.addWidget(self.bars, 1, 0, 1, _COLUMNS)
        else:
            grid.addWidget(self.bars, 0, table, 1, _COLUMNS - table)
        half = _COLUMNS // 2
        for x, plot in enumerate(self.neurons):
            grid.addWidget(plot, 1 + below, half * x, 1, half)
        grid.addWidget(self.images, 2 + below, 0, 1, _COLUMNS)
        for row in range(4):
            grid.setRowStretch(row, int(0 < row <= 1 + below))  # the table has what it needs

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange(narrow=event.size().width() < _NARROW)

    def minimumSizeHint(self) -> QSize:
        return QSize(_MIN_WIDTH, super().minimumSizeHint().height())

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        for plot in (self.bars, self.outcomes, *self.neurons):
            plot.paint(theme)

    def _choose(self, what: str) -> None:
        """Show the table of all models, or their bars."""
        for choices in (self.what, self.outcomes.what):
            choices.choose(what)
        self._place.setCurrentWidget(self._all if what == "table" else self.outcomes)

    @classmethod
    def wants_page(cls, state: State) -> bool:
        """While two models are compared."""
        return state.comparing is not None

    def show_state(self, state: State) -> None:
        """Show the two models that are compared."""
        if state.original is None or state.comparing is None:
            return
        from bdshift.audit.comparison import compare

        self.heading.show_text(tr("Two models compared"))
        self.close_button.setText(tr(CLOSE_PAGE.text))
        self.export.setText(tr(EXPORT_TABLE.text))
        self.export.setEnabled(EXPORT_TABLE.enabled(state))
        audit = as_judged(state)
        self._fill_sides(audit, state.comparing)
        found = compare(audit, *state.comparing)
        self.finding.show_text(_finding(found))
        self._fill_table(audit)
        self._fill_bars(found)
        self._fill_neurons(found)
        self.images.show_comparison(found)

    def heightForWidth(self, width: int) -> int:
        """The minimum: the scroll area asks for it, and the plots take whatever room there is."""
        layout = self.layout()
        assert layout is not None
        return layout.totalMinimumHeightForWidth(width)

    def _fill_sides(self, audit: Audit, numbers: tuple[int, int]) -> None:
        self._rendering = True
        made = enumerate(audit.purifications, 1)
        names = [name_of(None), *(f"{i} · {name_of(one)}" for i, one in made)]
        tips = (tr("The first of the two models."), tr("The second of the two models."))
        for box, number, tip in zip(self.sides, numbers, tips, strict=True):
            box.clear()
            box.addItems([lines(name) for name in names])
            box.setCurrentIndex(number)
            set_tip(box, tip)
            box.setAccessibleName(tip)
        self._rendering = False

    def _chosen(self) -> None:
        if not self._rendering:  # else we changed it ourselves
            first, second = (box.currentIndex() for box in self.sides)
            self._context.turn_to(ComparisonPage((first, second)))

    def _fill_table(self, audit: Audit) -> None:
        from bdshift.reports.comparison_report import models_table

        words = {"table": (tr("table"), ""), "plot": (tr("plot"), "")}
        for choices in (self.what, self.outcomes.what):
            choices.label("", words)
        rows = models_table(audit)
        made = [None, *audit.purifications]
        names = [
            name_of(one) if one is None else f"{number} · {name_of(one)}"
            for number, one in enumerate(made)
        ]
        about = ["" if one is None else f"{one.result.method}\n{measured_on(one)}" for one in made]

        def numbers(name: str, form: Callable[[float], str], head: str = "") -> Column:
            values = [getattr(row, name) for row in rows]
            return Column(name, head or name.upper(), np.array(values, np.float64), form=form)

        self.table.show_columns([
            Column("model", tr("model"), np.arange(len(rows)), names, tips=about),
            *(numbers(name, percent) for name in ("acc", "asr", "ra")),
            numbers("der", lambda value: figure(value, ".3f")),
            numbers("norm", lambda value: figure(value, "#.3g"), "L2"),
            numbers("z", lambda value: figure(value, ".2f"), "z"),
            numbers("alpha", figure, "α"),
        ], of=audit.model)  # fmt: skip
        self.table.keep_whole(_MAX_ROWS)
        models = [
            ModelFigures(name, math.nan if row.acc is None else row.acc, row.asr, row.der)
            for name, row in zip(names, rows, strict=True)
        ]
        self.outcomes.show_models(models)
        self._all.title.show_text(tr("All models of this audit"))

    def _fill_bars(self, found: Comparison) -> None:
        values = {"norms": (found.a.audit.shifts.l2, found.b.audit.shifts.l2)}
        first, second = found.measured
        if first is not None and second is not None:
            values["accuracy"] = (np.array(first.by_class), np.array(second.by_class))
        names = name_of(found.a.purification), name_of(found.b.purification)
        if names[0] == names[1]:
            names = f"{found.a.number} · {names[0]}", f"{found.b.number} · {names[1]}"
        self.bars.show_values(values, found.audit.images.class_names, names, found.target)

    def _fill_neurons(self, found: Comparison) -> None:
        from bdshift.neurons.rankings import half_of

        target = found.target
        sides = (found.a, found.b)
        if found.tacs is not None:
            xs = [tac.change for tac in found.tacs]
        else:
            seen = [side.audit.embedding for side in sides]
            xs = [np.zeros(0) if one is None else one.mean for one in seen]
        ys = [side.audit.shifts.shift[target] for side in sides]
        chosen = np.zeros(len(ys[0]), dtype=bool)
        chosen[half_of(ys[0])] = True
        for plot, side, x, y in zip(self.neurons, sides, xs, ys, strict=True):
            there = len(x) == len(y)
            plot.show_points(
                x, y if there else np.zeros(0), chosen if there else np.zeros(0, dtype=bool),
                flagged=target in side.audit.finding.suspected,
            )  # fmt: skip
            if there:
                plot.fit(_span(xs), _span(ys))
            name = found.audit.images.class_names[target]
            plot.title.show_text(
                tr(
                    "{model}: shift toward “{name}”",
                    model=name_of(side.purification),
                    name=name,
                )
            )
            set_tip(
                plot.title,
                tr("The neurons that account for half of the first model's shift are marked."),
            )
            plot.label_axis(
                "bottom", tr("TAC, mean |φ(x+δ) − φ(x)|") if found.tacs else tr("mean activation φ")
            )
            plot.describe(plot.title.text(), plot.title.toolTip())


def _span(values: list[np.ndarray]) -> tuple[float, float]:
    both = np.concatenate(values)
    return float(np.nanmin(both)), float(np.nanmax(both))


def _finding(found: Comparison) -> str:
    """What changed, in a sentence or two."""
    first, second = found.measured
    target = found.target
    names = found.audit.images.class_names
    parts = []
    if not found.comparable:
        parts.append(
            tr("Measured differently (class, trigger or images): ACC and ASR are not comparable.")
        )
    elif first is not None and second is not None:
        parts.append(
            tr("Clean accuracy {before} → {after}.", before=percent(first.acc),
               after=percent(second.acc))
        )  # fmt: skip
        if first.asr is not None and second.asr is not None:
            parts.append(
                tr("Attack success {before} → {after}.", before=percent(first.asr),
                   after=percent(second.asr))
            )  # fmt: skip
        else:
            parts.append(tr("No trigger is known, so attack success cannot be measured."))
        if found.der is not None:
            parts.append(tr("DER {value}.", value=figure(found.der, ".3f")))
    both = found.a.audit, found.b.audit
    norms = [figure(float(one.shifts.l2[target]), "#.3g") for one in both]
    alphas = dict.fromkeys(figure(one.shifts.alpha) for one in both)
    parts.append(
        tr("Shift norm to “{name}” (α = {alpha}): {before} → {after}.", name=names[target],
           alpha=" → ".join(alphas), before=norms[0], after=norms[1])
    )  # fmt: skip
    before, after = (target in one.finding.suspected for one in both)
    if after:
        parts.append(tr("The scan still flags it.") if before else tr("The scan flags it."))
    return " ".join(parts)
