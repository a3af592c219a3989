"""Purifications: the curves of the one that runs or is selected, and a table of all beside the
original.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import grouped, percent
from bdshift_gui.session import State
from bdshift_gui.theme import LIGHT, Theme
from bdshift_gui.widgets.card import Card
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table

if TYPE_CHECKING:
    from bdshift.audit.cleaning import Cleaned

_HIGH = 250  # pixels of the panel, so that the scatter keeps its room
_CURVES = {
    "shares": ("held_out_accuracy", "asr", "ra"),
    "norms": ("target_norm", "other_norms"),
    "loss": ("loss", "held_out_loss"),
}


class CurvesView(PlotCard):
    """Figures by step."""

    def __init__(self) -> None:
        super().__init__(self._rows)
        self._theme: Theme = LIGHT
        self._steps: Sequence[Mapping[str, float]] = ()
        self._name = ""
        self.what = Choices(tuple(_CURVES))
        self.what.chosen.connect(self._redraw)
        self.corner.addWidget(self.what)
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(y=True, alpha=0.25)

    def paint(self, theme: Theme) -> None:
        super().paint(theme)
        self._theme = theme
        self._redraw()

    def show_steps(self, name: str, steps: Sequence[Mapping[str, float]]) -> None:
        """Show a run, as far as it is."""
        self._name, self._steps = name, steps
        self._redraw()

    def _redraw(self) -> None:
        words = {
            "held_out_accuracy": tr("held-out accuracy"), "asr": "ASR", "ra": "RA",
            "target_norm": tr("target's norm"), "other_norms": tr("mean of the others"),
            "loss": tr("loss"), "held_out_loss": tr("held-out loss"),
        }  # fmt: skip
        self.what.label(
            "",
            {"shares": (tr("accuracy, ASR"), tr("On images that are not learnt from.")),
             "norms": (tr("norms"), tr("L2 of the shifts on the held-out images.")),
             "loss": (tr("loss"), tr("What the method descends."))},
        )  # fmt: skip
        self.title.show_text(self._name or tr("No purification yet"))
        self.plot.clear()
        legend = self.plot.addLegend(
            offset=(8, -8), labelTextColor=self._theme.muted, verSpacing=-8, labelTextSize="8pt"
        )
        legend.clear()
        inks = (self._theme.accent, self._theme.poisoned, self._theme.muted)
        styles = (Qt.PenStyle.SolidLine, Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)
        for name, ink, style in zip(_CURVES[self.what.now], inks, styles, strict=False):
            points = [(i, step[name]) for i, step in enumerate(self._steps) if name in step]
            if points:
                x, y = zip(*points, strict=True)
                pen = pg.mkPen(ink, width=2, style=style)
                self.plot.addItem(
                    pg.PlotDataItem(
                        x, y, pen=pen, symbol="o", symbolSize=5, symbolBrush=ink, symbolPen=None,
                        name=words[name],
                    )
                )  # fmt: skip
        self.label_axis("bottom", tr("step"), self._theme)
        if self.what.now == "shares":
            self.plot.setYRange(0, 1, padding=0.03)
        else:
            self.plot.enableAutoRange("y")
        self.plot.setXRange(0, max(1, len(self._steps) - 1), padding=0.03)
        self.describe(tr("Curves of a purification"), self.title.text())

    def _rows(self) -> Table:
        names = list(dict.fromkeys(name for step in self._steps for name in step))
        rows = ([i, *(step.get(name, "") for name in names)] for i, step in enumerate(self._steps))
        return [["step", *names], *rows]


class RunsView(QWidget):
    """``asked`` carries what is wanted: "purify", or "export_run"; `selected` says of which run."""

    asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._state = State()
        self.curves = CurvesView()
        self.table = QTableWidget(0, 7)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        head = self.table.horizontalHeader()
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        head.setMinimumSectionSize(24)
        self.table.setMinimumHeight(90)
        self.curves.view.setMinimumHeight(90)
        self.setMaximumHeight(_HIGH)
        self.table.itemSelectionChanged.connect(self._show_curves)
        self.purify, self.export = QPushButton(), QPushButton()
        self.purify.clicked.connect(lambda: self.asked.emit("purify"))
        self.export.clicked.connect(lambda: self.asked.emit("export_run"))
        self._card = Card()
        self._card.body.addWidget(self.table, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.purify)
        buttons.addWidget(self.export)
        buttons.addStretch(1)
        self._card.body.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 8)
        column = QVBoxLayout()
        column.addWidget(self._card)
        row.addLayout(column, 3)
        row.addWidget(self.curves, 2)

    def paint(self, theme: Theme) -> None:
        """Take the theme's colours."""
        self.curves.paint(theme)

    @property
    def selected(self) -> Cleaned | None:
        """The selected run; None for the original."""
        row = self.table.currentRow() - 1
        return self._state.runs[row] if 0 <= row < len(self._state.runs) else None

    def show_state(self, state: State) -> None:
        """Show the runs of ``state``, and the steps of the one that is on its way."""
        fresh = state.runs is not self._state.runs
        self._state = state
        self.purify.setText(tr("Purify…"))
        self.export.setText(tr("Export the model…"))
        self._card.title.show_text(
            tr("{count} purifications, nothing overwritten", count=len(state.runs))
            if state.runs else tr("The original")
        )  # fmt: skip
        self._fill()
        if fresh and state.runs:
            self.table.selectRow(len(state.runs))
        self._show_curves()

    def _fill(self) -> None:
        state, keep = self._state, self.table.currentRow()
        heads = [tr("method"), "ACC", "ASR", "RA", "DER", tr("norm"), "z"]
        self.table.blockSignals(True)  # Qt's own selection signal, while its rows are made
        self.table.setHorizontalHeaderLabels(heads)
        rows = [_original(state), *(_row(run) for run in state.runs)]
        self.table.setRowCount(len(rows))
        for y, cells in enumerate(rows):
            for x, cell in enumerate(cells):
                item = QTableWidgetItem(cell)
                item.setToolTip(_about(state.runs[y - 1]) if y else cell)
                if x:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(y, x, item)
        if keep >= 0:
            self.table.selectRow(min(keep, len(rows) - 1))
        self.table.blockSignals(False)

    def _show_curves(self) -> None:
        run = self.selected
        self.export.setEnabled(run is not None)
        if self._state.steps:
            last = self._state.steps[-1]
            name = tr("Step {number} of {total}", number=last.number + 1, total=last.total)
            self.curves.show_steps(name, [step.values for step in self._state.steps])
        elif run is not None:
            steps = [{**row.step.figures, **row.watched} for row in run.run.rows]
            kept = tr("step {number} kept", number=run.run.kept + 1)
            self.curves.show_steps(kept, steps)
        else:
            self.curves.show_steps("", ())


def _name(run: Cleaned) -> str:
    name = run.run.method.partition(":")[0]
    return name if run.run.complete else tr("{name} (stopped)", name=name)


def _about(run: Cleaned) -> str:
    """All that does not fit into a row."""
    return tr(
        "{method}\n{seconds} s, {forwards} images forward, {backwards} back\n"
        "measured on {images}",
        method=run.run.method, seconds=figure(run.run.seconds, ".3g"),
        forwards=grouped(run.run.forwards), backwards=grouped(run.run.backwards),
        images=run.reported_on,
    )  # fmt: skip


def _original(state: State) -> list[str]:
    audit, tac = state.audit, state.tac
    if audit is None or state.shifts is None or state.verdict is None:
        return [""] * 7
    target = audit.most_suspicious
    asr, ra = (tac.asr, tac.ra) if tac is not None and tac.target == target else (None, None)
    return [
        tr("original"), percent(audit.accuracy), percent(asr), percent(ra), "–",
        figure(float(state.shifts.l2[target]), "#.3g"),
        figure(state.verdict.scores[target].z, ".2f"),
    ]  # fmt: skip


def _row(run: Cleaned) -> list[str]:
    from bdshift.purify.measure import der

    target = run.run.target
    return [
        _name(run), percent(run.after.acc), percent(run.after.asr), percent(run.after.ra),
        figure(der(run.before, run.after), ".3f"), figure(float(run.shifts.l2[target]), "#.3g"),
        figure(run.verdict.scores[target].z, ".2f"),
    ]  # fmt: skip
