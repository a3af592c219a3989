"""The inside of a plot whose points are selected by drawing around them."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtGui import QPainterPath, QPolygonF
from PySide6.QtWidgets import QGraphicsPathItem

from bdshift_gui.selection import Mode


def mode_of(modifiers: Qt.KeyboardModifier) -> Mode:
    """What a click with these keys does: Ctrl toggles, Shift adds, Alt removes."""
    if modifiers & Qt.KeyboardModifier.AltModifier:
        return "remove"
    if modifiers & Qt.KeyboardModifier.ControlModifier:
        return "toggle"
    return "add" if modifiers & Qt.KeyboardModifier.ShiftModifier else "replace"


class LassoBox(pg.ViewBox):  # type: ignore[misc]  # pyqtgraph has no types
    """A left drag draws a lasso or a box; the wheel zooms, the middle button pans."""

    drawn = Signal(object, object)  # the polygon in plot coordinates, the modifier keys

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self.tool = "lasso"
        self._trace: list[QPointF] = []
        self.outline = QGraphicsPathItem()
        self.outline.setZValue(100)
        self.addItem(self.outline, ignoreBounds=True)

    def mouseDragEvent(self, event: object, axis: object = None) -> None:
        if event.button() != Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            super().mouseDragEvent(event, axis)
            return
        event.accept()  # type: ignore[attr-defined]
        here = self.mapToView(event.pos())  # type: ignore[attr-defined]
        if event.isStart():  # type: ignore[attr-defined]
            self._trace = [self.mapToView(event.buttonDownPos())]  # type: ignore[attr-defined]
        self._trace.append(here)
        shape = self._shape()
        path = QPainterPath()
        path.addPolygon(shape)
        self.outline.setPath(path)
        if event.isFinish():  # type: ignore[attr-defined]
            self.outline.setPath(QPainterPath())
            self.drawn.emit(shape, event.modifiers())  # type: ignore[attr-defined]

    def _shape(self) -> QPolygonF:
        if self.tool == "lasso":
            return QPolygonF([*self._trace, self._trace[0]])
        (x0, y0), (x1, y1) = ((p.x(), p.y()) for p in (self._trace[0], self._trace[-1]))
        return QPolygonF([QPointF(*p) for p in ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))])


def within(shape: QPolygonF, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points (n,) are inside a polygon, by the odd-even rule: a ray to the right
    crosses its edges an odd number of times.
    """
    inside = np.zeros(len(x), dtype=bool)
    corners = [(corner.x(), corner.y()) for corner in shape.toList()]
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], *corners[:1]], strict=True):
        between = (ay <= y) != (by <= y)  # of the points, those whose ray can cross this edge
        if between.any():
            inside[between] ^= x[between] < ax + (y[between] - ay) * (bx - ax) / (by - ay)
    return inside
