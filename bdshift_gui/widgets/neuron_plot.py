"""A scatter to look at: one point a neuron, some of them marked."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtGui import QColor

from bdshift_gui.widgets.plot import PlotCard, Table

_MARGIN = 0.05

Vector = NDArray[np.float64]
Span = tuple[float, float]


class NeuronPlot(PlotCard):
    """Two of them with the same spans can be read against each other."""

    def __init__(self) -> None:
        super().__init__(self._rows)
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
        """Show from the least to the largest of two spans."""
        self.plot.setXRange(*x, padding=_MARGIN)
        self.plot.setYRange(*y, padding=_MARGIN)

    def redraw(self) -> None:
        self.plot.clear()
        soft = QColor(self.theme.accent)
        soft.setAlpha(120)
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
