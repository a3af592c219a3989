"""How well the top K by shift and by TAC agree, for every K; and the top K themselves."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QPushButton, QSpinBox

from bdshift.words import words
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.session import State
from bdshift_gui.theme import SMALL, text_font
from bdshift_gui.view import View, view
from bdshift_gui.widgets.plot import PlotCard, Table, name_curves


@view
class AgreementView(PlotCard, View):
    """A curve for each ranking; the top K by shift can be selected."""

    key = "overlap"
    area = "below"
    place = 20
    title_of_panel = words("Overlap", ja="重複率")
    waits = True
    reads = ("audit", "tac", "selection.class_index")

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._state = State()
        self._curves: dict[str, np.ndarray] = {}
        self.count = QSpinBox()
        self.count.setMinimum(1)
        self.count.setPrefix("K = ")
        self.select = QPushButton()
        self.corner.addWidget(self.count)
        self.corner.addWidget(self.select)
        self.count.valueChanged.connect(self.redraw)
        self.select.clicked.connect(self._select)
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(y=True, alpha=0.25)

    def show_state(self, state: State) -> None:
        """Show the selected class's rankings."""
        before, self._state = self._state.audit, state
        fresh = state.audit is not None and (
            before is None or before.model is not state.audit.model
        )
        if state.audit is not None:
            dim = state.audit.model.embedding_dim
            self.count.setMaximum(dim)
            if fresh:
                self.count.setValue(max(1, round(dim / 10)))
        self.redraw()

    def _order(self) -> np.ndarray:
        state, index = self._state, self._state.selection.class_index
        assert state.audit is not None
        return np.argsort(-state.audit.shifts.shift[index], kind="stable")

    def redraw(self) -> None:
        state, index = self._state, self._state.selection.class_index
        self.select.setText(tr("Select the top K by shift"))
        self.count.setAccessibleName("K")
        self.plot.clear()
        if state.audit is None or index is None:
            return
        tac = state.tac
        if tac is None or tac.target != index:
            self.title.show_text(tr("Overlap needs TAC: measure it under a trigger (Ctrl+T)"))
            self._curves = {}
            return
        from bdshift.audit.rankings import method_rankings
        from bdshift.neurons.rankings import overlap_curve

        shift, free = (
            state.audit.shifts.shift[index],
            state.audit.model.data_free(index),
        )
        rankings = {tr("shift"): shift, "w − μ": free, **method_rankings(state.audit, index)}
        self._curves = {
            name: overlap_curve(values, tac.change) for name, values in rankings.items()
        }
        ks = np.arange(1, len(shift) + 1)
        drawn = {
            name: pg.PlotDataItem(ks, curve, pen=self._pen(number))
            for number, (name, curve) in enumerate(self._curves.items())
        }
        name_curves(self.plot, drawn, self.theme)
        count = self.count.value()
        line = pg.InfiniteLine(count, 90, pen=pg.mkPen(self.theme.muted, width=1))
        self.plot.addItem(line)
        at = [float(curve[count - 1]) for curve in self._curves.values()]
        label = pg.TextItem(percent(at[0]), color=self.theme.poisoned, anchor=(-0.1, 1))
        label.setFont(text_font(SMALL))
        label.setPos(count, at[0])
        self.plot.addItem(label)
        self.plot.setXRange(1, len(shift), padding=0.01)
        self.plot.setYRange(0, 1.05, padding=0)
        self.label_axis("bottom", tr("K, neurons of each ranking"))
        self.label_axis("left", tr("overlap with TAC"))
        self.title.show_text(
            tr(
                "{shift} of the top {count} by shift are also in the top {count} "
                "by TAC; for w − μ, {free}",
                count=count, shift=percent(at[0]), free=percent(at[1]),
            )
        )  # fmt: skip
        self.describe(tr("Overlap with TAC"), self.title.text())

    def _pen(self, number: int) -> object:
        """The pen of a curve: the shift, its ablation, then methods that purified, in different
        colors and dashes.
        """
        if number < 2:
            color = (self.theme.poisoned, self.theme.accent)[number]
            style = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)[number]
            return pg.mkPen(color, width=2, style=style)
        colors = QColor(self.theme.muted), QColor(self.theme.warning), QColor(self.theme.bar)
        styles = (Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine, Qt.PenStyle.SolidLine)
        other = number - 2
        return pg.mkPen(colors[other % 3], width=1.5, style=styles[other // 3 % 3])

    def _select(self) -> None:
        if self._state.selection.class_index is not None:
            top = self._order()[: self.count.value()].tolist()
            self.context.selection.select_neurons(top)

    def _rows(self) -> Table:
        if not self._curves:
            return [["K"]]
        curves = list(self._curves.values())
        rows = ((k + 1, *(float(c[k]) for c in curves)) for k in range(len(curves[0])))
        return [["K", *self._curves], *rows]
