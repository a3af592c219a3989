"""Names of a few points, none on another point or name, and each plainly that of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSizeF
from PySide6.QtGui import QFontMetricsF

from bdshift_gui.theme import SMALL, text_font

_FIRST_GAP = 13.0  # pixels between the first point, which may have a ring, and its name
_GAP = 8.0  # the same of others
_POINT = 5.0  # radius of a point, in pixels
_PLAINLY = 4.0  # pixels that any other point is farther from a name than its own
_LED = (26.0, 42.0)  # pixels between a point and its name if a line leads from one to the other
_CROSSED = 0.5  # how bad it is to be on the line, where a point or a name is 1
_PLACES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""Where a name may be, seen from its point, the best first: x to the right, y downward."""


class PointLabels:
    """Names in a plot whose points are in pixels. They are placed when the plot is painted next, so
    that several changes cost one placement. Names that fit nowhere beside their points are farther
    away, at the end of a short line; or else left out, but the first, which then is where it hides
    least.
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
        self._leaders = pg.PlotCurveItem(connect="pairs")
        plot.addItem(self._leaders, ignoreBounds=True)
        self._stale = False
        plot.vb.sigRangeChanged.connect(lambda *_: self._place_later())
        plot.vb.sigResized.connect(lambda _: self._place_later())
        plot.scene().sigPrepareForPaint.connect(self._place_if_stale)

    def paint(self, ink: str, back: str) -> None:
        """Write in a color, over the line on another."""
        self._ink, self._back = ink, back
        self._leaders.setPen(pg.mkPen(ink))
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
        self._place_later()

    def avoid(self, level: float) -> None:
        """Write a name over a horizontal line only if it fits nowhere else."""
        if level != self._level:
            self._level = level
            self._place_later()

    @property
    def shown(self) -> dict[int, QRectF]:
        """The names that are written, by point, and where: in pixels of the plot's scene."""
        self._place_if_stale()
        return self._placed

    def _place_later(self) -> None:
        self._stale = True
        self._plot.update()

    def _place_if_stale(self) -> None:
        if self._stale:
            self._stale = False
            self._place()

    def _place(self) -> None:
        """Find a place for every name."""
        self._placed = {}
        for item in self._items:
            item.hide()
        self._leaders.setData([], [])
        box, inside = self._plot.vb, self._plot.vb.sceneBoundingRect()
        if not self._names or inside.width() < 1 or inside.height() < 1:
            return
        points = self._pixels(inside)
        metrics = QFontMetricsF(text_font(SMALL))
        lines: list[QPointF] = []
        for number, (item, (point, name)) in enumerate(zip(self._items, self._names, strict=False)):
            here = QPointF(*points[point])
            if not np.isfinite(points[point]).all() or not inside.contains(here):
                continue
            size = QSizeF(metrics.horizontalAdvance(name), metrics.height())
            hits, found, led = self._best(point, size, points, inside, first=not number)
            if hits >= 1 and number:
                continue
            self._placed[point] = found
            if led:
                lines += [here, _nearest(found, here)]
            item.fill = pg.mkBrush(self._back if hits == _CROSSED else None)
            item.setText(name)
            item.setPos(box.mapSceneToView(found.center()))
            item.show()
        ends = [box.mapSceneToView(one) for one in lines]
        self._leaders.setData([one.x() for one in ends], [one.y() for one in ends])

    def _pixels(self, inside: QRectF) -> NDArray[np.float64]:
        """The points in the scene, (n, 2); each coordinate is in one piece, which is faster."""
        (left, right), (low, high) = self._plot.vb.viewRange()
        across = inside.left() + (self._x - left) / (right - left) * inside.width()
        up = inside.bottom() - (self._y - low) / (high - low) * inside.height()
        return np.stack([across, up]).T

    def _best(
        self, point: int, size: QSizeF, points: NDArray[np.float64], inside: QRectF, *, first: bool
    ) -> tuple[float, QRectF, bool]:
        """Where a name hides least, how many points and names it does hide there, and whether a
        line leads there; the line to avoid counts as half a point.
        """
        (low, high), here = self._plot.vb.viewRange()[1], QPointF(*points[point])
        level = inside.bottom() - (self._level - low) / (high - low) * inside.height()
        near = _FIRST_GAP if first else _GAP
        best = _beside(here, size, _PLACES[0], near)
        reach = max(size.width(), size.height()) + _LED[-1] + 2 * _FIRST_GAP + _PLAINLY
        around = _may_touch(points, QRectF(here, here), reach)
        around[point] = False
        others = points[around]
        # What is no better than this is not taken; the first name is written in any case.
        least, with_line = float(len(points) + len(self._names) + 3) if first else 1.0, False
        for gap in (near, *_LED):
            if least < 1:
                break
            for place in _PLACES:
                rect = _beside(here, size, place, gap)
                if not inside.contains(rect):
                    continue
                plainly = gap * float(np.hypot(*place)) + _PLAINLY
                away = _distances(rect, others[_may_touch(others, rect, max(plainly, _POINT))])
                hits = float((away < _POINT).sum())
                hits += sum(rect.intersects(one) for one in self._placed.values())
                hits += _CROSSED * (rect.top() < level < rect.bottom())
                if hits >= least:
                    continue
                if gap == near:
                    hits += bool((away < plainly).any())
                else:
                    hits += _crossed(here, _nearest(rect, here), others)
                if hits < least:
                    least, best, with_line = hits, rect, gap != near
        return least, best, with_line


def _beside(here: QPointF, size: QSizeF, place: tuple[int, int], gap: float) -> QRectF:
    right, down = place
    rect = QRectF(QPointF(0, 0), size)
    across, up = right * (gap + size.width() / 2), down * (gap + size.height() / 2)
    rect.moveCenter(here + QPointF(across, up))
    return rect


def _nearest(rect: QRectF, to: QPointF) -> QPointF:
    """The point of a rectangle that is nearest to another."""
    return QPointF(
        min(max(to.x(), rect.left()), rect.right()), min(max(to.y(), rect.top()), rect.bottom())
    )


def _may_touch(points: NDArray[np.float64], rect: QRectF, margin: float) -> NDArray[np.bool_]:
    """Which of points (n, 2) may be nearer to a rectangle than ``margin``: a few of many."""
    x, y = points[:, 0], points[:, 1]
    found: NDArray[np.bool_] = (x >= rect.left() - margin) & (x <= rect.right() + margin)
    found &= (y >= rect.top() - margin) & (y <= rect.bottom() + margin)
    return found


def _distances(rect: QRectF, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far points (n, 2) are from a rectangle, (n,); 0 in it."""
    low, high = (rect.left(), rect.top()), (rect.right(), rect.bottom())
    away: NDArray[np.float64] = np.linalg.norm(points - np.clip(points, low, high), axis=1)
    return away


def _crossed(start: QPointF, end: QPointF, points: NDArray[np.float64]) -> int:
    """How many points (n, 2) a line touches."""
    points = points[_may_touch(points, QRectF(start, end).normalized(), _POINT)]
    first, way = np.array(start.toTuple()), np.array((end - start).toTuple())
    part = np.clip((points - first) @ way / max(float(way @ way), 1e-9), 0, 1)
    away = np.linalg.norm(points - first - part[:, None] * way, axis=1)
    return int((away < _POINT).sum())
