"""Many classes as dots in the order of their scores: no bar would be wide enough to click."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF

from bdshift_gui.plain import lines
from bdshift_gui.theme import Theme
from bdshift_gui.widgets.alike_points import AlikePoints
from bdshift_gui.widgets.point_labels import PointLabels

MAX_BARS = 60
"""Classes that are bars; more are dots."""
_REACH = 14.0  # pixels; a dot at most this far from the pointer is hit
_MAX_NAMES = 6  # classes that are named
_MAX_NAME = 24  # letters of a name that are written
_MARGIN = 14.0  # pixels above, below and beside the dots, for rings and names
_SMALL, _LARGE = 5, 9  # pixels: a dot, and one that is flagged
_OVER_BAND = 5.0


class ClassStrip:
    """The dots of a plot, which are at whole numbers along its axis. Flagged ones are larger, those
    picked have a ring, and both have their names beside them.
    """

    def __init__(self, plot: pg.PlotItem) -> None:
        self._plot = plot
        self._values: NDArray[np.float64] = np.empty(0)
        self._dots, self._flagged = AlikePoints(size=_SMALL), AlikePoints(size=_LARGE)
        self._picked, self._hovered = (
            pg.ScatterPlotItem(symbol="o", size=_LARGE + 6, brush=None) for _ in range(2)
        )
        for above, item in enumerate((self._dots, self._flagged, self._picked, self._hovered)):
            item.setZValue(_OVER_BAND + above)
            plot.addItem(item, ignoreBounds=True)
        self.names = PointLabels(plot)

    def clear(self) -> None:
        """Show nothing."""
        self._values = np.empty(0)
        for item in (self._dots, self._flagged, self._picked, self._hovered):
            item.setData([], [])
        self.names.show_names([], self._values, self._values)

    def show_values(
        self,
        values: NDArray[np.float64],
        names: Sequence[str],
        flagged: NDArray[np.bool_],
        picked: NDArray[np.bool_],
        theme: Theme,
    ) -> None:
        """Show values and names of classes, (C,), in their order; a NaN is not shown."""
        self._values = values
        there, places = np.isfinite(values), np.arange(len(values))
        for item, rows, ink in (
            (self._dots, there & ~flagged, theme.bar),
            (self._flagged, there & flagged, theme.poisoned),
        ):
            item.setData(places[rows], values[rows], brush=pg.mkBrush(ink), pen=pg.mkPen(None))
        ring = there & picked
        self._picked.setData(places[ring], values[ring], pen=pg.mkPen(theme.text, width=1.5))
        self._hovered.setData([], [], pen=pg.mkPen(theme.accent, width=1.5))
        named = [*np.flatnonzero(ring).tolist(), *np.flatnonzero(there & flagged & ~ring).tolist()]
        self.names.paint(theme.text, theme.card)
        self.names.show_names(
            [(place, _short(names[place])) for place in named[:_MAX_NAMES]],
            places.astype(np.float64), values,
        )  # fmt: skip

    def fit(self, line: float, columns: float) -> None:
        """Show all dots and the line, with room for names, and so many columns."""
        held = self._values[np.isfinite(self._values)]
        if np.isfinite(line):
            held = np.append(held, line)
        low, high = (float(held.min()), float(held.max())) if len(held) else (0.0, 1.0)
        box = self._plot.vb
        free = max(box.height() - 2 * _MARGIN, 1.0)
        room = _MARGIN * ((high - low) or abs(high) or 1.0) / free
        self._plot.setYRange(low - room, high + room, padding=0)
        self._plot.setXRange(-_MARGIN * columns / max(box.width(), 1.0), columns, padding=0)
        self.names.avoid(line)

    def place_at(self, scene_point: QPointF) -> int | None:
        """The nearest dot within reach of the pointer."""
        box = self._plot.vb
        if not np.isfinite(self._values).any() or not box.sceneBoundingRect().contains(scene_point):
            return None
        at, (width, height) = box.mapSceneToView(scene_point), box.viewPixelSize()
        away = ((np.arange(len(self._values)) - at.x()) / width) ** 2
        away = away + ((self._values - at.y()) / height) ** 2
        nearest = int(np.nanargmin(away))
        return nearest if away[nearest] <= _REACH**2 else None

    def hover(self, place: int | None) -> None:
        """Mark a dot."""
        rows = [] if place is None else [place]
        self._hovered.setData(rows, self._values[rows])


def _short(name: str) -> str:
    shown = lines(name).replace("\n", " ")
    return shown if len(shown) <= _MAX_NAME else shown[: _MAX_NAME - 1] + "…"
