"""A scatter plot just to look at: one point per neuron, some of them marked."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtGui import QColor

from bdshift_gui.context import Context
from bdshift_gui.widgets.plot import PlotCard, Table

_MARGIN = 0.05

Vector = NDArray[np.float64]
Span = tuple[float, float]


class NeuronPlot(PlotCard):
    """Two of these with the same spans can be compared."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._x: Vector = np.empty(0)
        self._y: Vector = np.empty(0)
        self._chosen: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._flagged = False
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(y=True, alpha=0.25)
        self.view.setMinimumHeight(120)

    def show_points(
        self, x: Vector, y: Vector, chosen: NDArray[np.bool_], *, flagged: bool
    ) -> None:
        """Show points (d,), the ``chosen`` ones marked; ``flagged`` is whether the class is."""
        self._x, self._y, self._chosen, self._flagged = x, y, chosen, flagged
        self.redraw()

    def fit(self, x: Span, y: Span) -> None:
        """Set the ranges of both axes to these spans."""
        self.plot.setXRange(*x, padding=_MARGIN)
        self.plot.setYRange(*y, padding=_MARGIN)

    def redraw(self) -> None:
        self.plot.clear()
        soft = QColor(self.theme.accent)
        soft.setAlpha(self.theme.soft)
        ink = self.theme.poisoned if self._flagged else self.theme.text
        rest = ~self._chosen
        self.plot.addItem(
            pg.ScatterPlotItem(self._x[rest], self._y[rest], size=6, brush=soft, pen=None)
        )
        self.plot.addItem(
            pg.ScatterPlotItem(
                self._x[self._chosen], self._y[self._chosen], size=9, symbol="d", brush=ink,
                pen=None,
            )
        )  # fmt: skip

    def _rows(self) -> Table:
        rows = zip(self._x.tolist(), self._y.tolist(), self._chosen.tolist(), strict=True)
        return [["neuron", "x", "shift", "marked"], *([k, *row] for k, row in enumerate(rows))]
