"""Names of a few points, none on another point or another name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFontMetricsF

from bdshift_gui.theme import SMALL, text_font

_GAP = 13.0  # pixels between a point and its name
_POINT = 5.0  # radius of a point, in pixels
_CROSSED = 0.5  # how bad it is to be on the line, where a point or a name is 1
_PLACES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""Where a name may be, seen from its point, the best first: x to the right, y downward."""


class PointLabels:
    """Names in a plot whose points are in pixels: they are placed again when it is zoomed. Names
    that fit nowhere are left out, but the first, which then is where it hides least.
    """

    def __init__(self, plot: pg.PlotItem) -> None:
        self._plot = plot
        self._items: list[pg.TextItem] = []
        self._names: list[tuple[int, str]] = []
        self._x: NDArray[np.float64] = np.empty(0)
        self._y: NDArray[np.float64] = np.empty(0)
        self._ink, self._back = "#000000", "#ffffff"
        self._placed: dict[int, QRectF] = {}
        self._level = np.nan
        plot.vb.sigRangeChanged.connect(lambda *_: self.place())
        plot.vb.sigResized.connect(lambda _: self.place())

    def paint(self, ink: str, back: str) -> None:
        """Write in a color, over the line on another."""
        self._ink, self._back = ink, back
        for item in self._items:
            item.setColor(ink)

    def show_names(
        self, names: Sequence[tuple[int, str]], x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> None:
        """Name points of (x, y), the most important first."""
        self._names, self._x, self._y = list(names), x, y
        while len(self._items) < len(names):
            item = pg.TextItem(color=self._ink, anchor=(0.5, 0.5))
            item.setFont(text_font(SMALL))
            self._plot.addItem(item, ignoreBounds=True)
            self._items.append(item)
        self.place()

    def avoid(self, level: float) -> None:
        """Write a name over a horizontal line only if it fits nowhere else."""
        if level != self._level:
            self._level = level
            self.place()

    @property
    def shown(self) -> dict[int, QRectF]:
        """The names that are written, by point, and where: in pixels of the plot's scene."""
        return self._placed

    def place(self) -> None:
        """Find a place for every name."""
        self._placed = {}
        for item in self._items:
            item.hide()
        box, inside = self._plot.vb, self._plot.vb.sceneBoundingRect()
        if not self._names or inside.width() < 1 or inside.height() < 1:
            return
        across, up = self._pixels(inside)
        metrics = QFontMetricsF(text_font(SMALL))
        for number, (item, (point, name)) in enumerate(zip(self._items, self._names, strict=False)):
            here = float(across[point]), float(up[point])
            if not np.isfinite(here).all() or not inside.contains(QPointF(*here)):
                continue
            size = metrics.horizontalAdvance(name), metrics.height()
            hits, found = self._best(here, size, across, up, inside)
            if hits >= 1 and number:
                continue
            self._placed[point] = found
            item.fill = pg.mkBrush(self._back if hits == _CROSSED else None)
            item.setText(name)
            item.setPos(box.mapSceneToView(found.center()))
            item.show()

    def _pixels(self, inside: QRectF) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The points in the scene."""
        (left, right), (low, high) = self._plot.vb.viewRange()
        across = inside.left() + (self._x - left) / (right - left) * inside.width()
        up = inside.bottom() - (self._y - low) / (high - low) * inside.height()
        return across, up

    def _best(
        self, here: tuple[float, float], size: tuple[float, float], across: NDArray[np.float64],
        up: NDArray[np.float64], inside: QRectF,
    ) -> tuple[float, QRectF]:  # fmt: skip
        """Where a name hides least, and how many points and names it does hide there; the line
        counts as half a point.
        """
        (low, high), worst = self._plot.vb.viewRange()[1], len(across) + len(self._names) + 2
        best, least = _beside(here, size, _PLACES[0]), float(worst)
        level = inside.bottom() - (self._level - low) / (high - low) * inside.height()
        for place in _PLACES:
            rect = _beside(here, size, place)
            if not inside.contains(rect):
                continue
            hit = (
                (across > rect.left() - _POINT) & (across < rect.right() + _POINT)
                & (up > rect.top() - _POINT) & (up < rect.bottom() + _POINT)
            )  # fmt: skip
            others = sum(rect.intersects(one) for one in self._placed.values())
            crossed = rect.top() < level < rect.bottom()
            if (hits := int(hit.sum()) + others + _CROSSED * crossed) < least:
                best, least = rect, hits
        return least, best


def _beside(here: tuple[float, float], size: tuple[float, float], place: tuple[int, int]) -> QRectF:
    (x, y), (width, height), (right, down) = here, size, place
    middle = QPointF(x + right * (_GAP + width / 2), y + down * (_GAP + height / 2))
    rect = QRectF(0, 0, width, height)
    rect.moveCenter(middle)
    return rect
