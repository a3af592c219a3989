"""The smallest change toward each class: its picture, where it acts, and its size on an axis."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import lines
from bdshift_gui.theme import LIGHT, SMALL, Theme, text_font
from bdshift_gui.widgets.thumbs import as_image

_SIDE, _GAP = 40, 6
_ROW = _SIDE + 2 * _GAP
_TEXT = 18
_MIN_NAME = 80  # pixels; figures that leave less of them are in the tooltip alone
_DOT = 5  # pixels, its radius
_TICK = 4  # pixels, half its height
_ROOM = 1.15  # beyond the smallest and the largest size, as a factor
_MIN_TICKS = 2
_LARGEST = math.log(sys.float_info.max)  # a size, as a logarithm, that is still a number
_ROUND = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8))
"""What ticks are round in, the fewest first."""

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class ClassSize:
    """The smallest change toward a class.

    Attributes:
        index, name: of the class.
        size: infinite if none works; ``success`` is the share of images that it sends there.
        picture: uint8 (3, s, s); None if it is not known.
        strength: how much it does at every pixel, uint8 (s, s).
    """

    index: int
    name: str
    size: float
    success: float
    picture: NDArray[np.uint8] | None = None
    strength: NDArray[np.uint8] | None = None


def smallest_first(found: Sequence[ClassSize], target: int) -> list[ClassSize]:
    """The target, and the others by size; those that none was found for come last, the most
    successful first.
    """
    return sorted(found, key=lambda one: (one.index != target, one.size, -one.success))


def mask_image(strength: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Strengths (s, s) as a gray picture (3, s, s)."""
    return np.repeat(strength[None], 3, axis=0)


class ClassSizes(QListView):
    """One row per class, on a logarithmic axis. ``picked`` carries the class of a clicked row."""

    picked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("images")
        self._model, self._painter = _Rows(self), _Painter(self)
        self.setModel(self._model)
        self.setItemDelegate(self._painter)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.clicked.connect(lambda at: self.picked.emit(self._model.rows[at.row()].index))
        self.activated.connect(lambda at: self.picked.emit(self._model.rows[at.row()].index))
        self.setMinimumHeight(2 * _ROW + _TEXT)
        self._axis = _Axis(self, self._painter)
        self.setViewportMargins(0, _TEXT, 0, 0)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self._painter.theme = theme
        self.viewport().update()
        self._axis.update()

    @property
    def rows(self) -> Sequence[ClassSize]:
        """What is shown, in this order."""
        return self._model.rows

    def show_sizes(self, found: Sequence[ClassSize], target: int, unit: str) -> None:
        """Show classes; ``target`` is marked, the others are its controls."""
        rows = smallest_first(found, target)
        self._painter.show_span(rows, target)
        self._model.show_rows(rows, target, unit)
        self._axis.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        rows = self.viewport().geometry()
        self._axis.setGeometry(rows.left(), rows.top() - _TEXT, rows.width(), _TEXT)

    def height_of(self, count: int) -> int:
        """Pixels that ``count`` rows take."""
        return count * _ROW + _TEXT + 4


class _Rows(QAbstractListModel):
    def __init__(self, parent: ClassSizes) -> None:
        super().__init__(parent)
        self.rows: list[ClassSize] = []
        self._target, self._unit = -1, ""

    def show_rows(self, rows: list[ClassSize], target: int, unit: str) -> None:
        """Keep the place that the list is scrolled to, if there are as many rows as before."""
        same = len(rows) == len(self.rows)
        if not same:
            self.beginResetModel()
        self.rows, self._target, self._unit = rows, target, unit
        if not same:
            self.endResetModel()
        elif rows:
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))

    def rowCount(self, parent: object = None) -> int:
        return len(self.rows)

    def data(self, index: Index, role: int = 0) -> object:
        one = self.rows[index.row()]
        if role == Qt.ItemDataRole.UserRole:
            return one
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._about(one)
        return None

    def _about(self, one: ClassSize) -> str:
        words = (
            tr("{name}: no change of this kind works ({success} of the images)",
               name=one.name, success=percent(one.success))
            if math.isinf(one.size)
            else tr("{name}: {size} ({unit}), {success} of the images",
                    name=one.name, size=figure(one.size, ".3g"), unit=self._unit,
                    success=percent(one.success))
        )  # fmt: skip
        role = tr("the class asked about") if one.index == self._target else tr("control class")
        return lines(f"{words} · {role}").replace("<", "‹")  # a view takes HTML for HTML


def round_sizes(low: float, high: float) -> list[float]:
    """A few round sizes between two, above 0."""
    found: list[float] = []
    for steps in _ROUND:
        last = min(math.ceil(math.log10(high)), sys.float_info.max_10_exp)
        tens = range(math.floor(math.log10(low)), last + 1)
        found = [step * 10.0**ten for ten in tens for step in steps]
        found = [one for one in found if low <= one <= high]
        if len(found) >= _MIN_TICKS:
            break
    return found


class _Axis(QWidget):
    """The sizes that the ticks of all rows stand for."""

    def __init__(self, parent: ClassSizes, scale: _Painter) -> None:
        super().__init__(parent)
        self._scale = scale

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, scale = QPainter(self), self._scale
        painter.setPen(QColor(scale.theme.muted))
        painter.setFont(text_font(SMALL))
        metrics, free = painter.fontMetrics(), 0.0
        for size in scale.ticks:
            words = figure(size, ".3g")
            width = metrics.horizontalAdvance(words)
            left = min(scale.at(size, self.width()) - width / 2, self.width() - width)
            if left >= free:
                painter.drawText(QRectF(left, 0, width, _TEXT), Qt.AlignmentFlag.AlignCenter, words)
                free = left + width + _GAP


class _Painter(QStyledItemDelegate):
    def __init__(self, parent: ClassSizes) -> None:
        super().__init__(parent)
        self.theme: Theme = LIGHT
        self._target = -1
        self._low, self._high = 0.0, 1.0  # logarithms of the sizes at both ends of the axis
        self._first = math.inf  # size in the first row
        self._left = 0  # pixels, for pictures
        self.ticks: list[float] = []

    def show_span(self, rows: Sequence[ClassSize], target: int) -> None:
        """Let the axis hold the sizes of all rows."""
        known = [math.log(one.size) for one in rows if 0 < one.size < math.inf]
        low, high = min(known, default=0.0), max(known, default=1.0)
        self._target = target
        self._first = rows[0].size if rows else math.inf
        self._low = low - math.log(_ROOM)
        self._high = max(high, low + math.log(2)) + math.log(_ROOM)
        ends = (math.exp(min(one, _LARGEST)) for one in (self._low, self._high))
        self.ticks = round_sizes(*ends) if known else []
        pictures = any(one.picture is not None for one in rows)
        self._left = 2 * (_SIDE + _GAP) if pictures else 0

    def at(self, size: float, width: int) -> float:
        """Where a size is in a row of ``width`` pixels."""
        left, right = self._left + _DOT, width - _GAP - _DOT
        share = (math.log(size) - self._low) / (self._high - self._low)
        return left + share * (right - left)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        one = index.data(Qt.ItemDataRole.UserRole)
        assert isinstance(one, ClassSize)
        box: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        left = 0
        if one.picture is not None and one.strength is not None:
            for pixels in (one.picture, mask_image(one.strength)):
                place = QRect(box.left() + left, box.top() + _GAP, _SIDE, _SIDE)
                painter.drawImage(place, as_image(pixels))
                left += _SIDE + _GAP
        ours = one.index == self._target
        ink = self.theme.poisoned if ours else self.theme.text
        area = box.adjusted(self._left, _GAP, -_GAP, -_GAP)
        self._words(painter, one, area, ink)
        painter.translate(box.left(), area.top() + _TEXT + _GAP + _DOT)
        self._dot(painter, one, box.width(), self.theme.poisoned if ours else self.theme.bar)
        painter.restore()

    def _words(self, painter: QPainter, one: ClassSize, area: QRect, ink: str) -> None:
        align = Qt.AlignmentFlag
        line = QRect(area.left(), area.top(), area.width(), _TEXT)
        size = "–" if math.isinf(one.size) else figure(one.size, ".3g")
        success = f" · {percent(one.success, 0)}"
        for words in (size + self._times(one) + success, size + success, size):
            width = painter.fontMetrics().horizontalAdvance(words) + _GAP
            if line.width() - width >= _MIN_NAME:
                break
        painter.setPen(QColor(self.theme.muted))
        painter.drawText(line, align.AlignRight | align.AlignVCenter, words)
        mark = "◆ " if one.index == self._target else ""
        elide = Qt.TextElideMode.ElideRight
        room = line.width() - width
        name = painter.fontMetrics().elidedText(lines(mark + one.name), elide, room)
        painter.setPen(QColor(ink))
        painter.drawText(line, align.AlignLeft | align.AlignVCenter, name)

    def _times(self, one: ClassSize) -> str:
        """How many times as large as the first row's it is, in brackets."""
        known = 0 < one.size < math.inf and 0 < self._first < math.inf
        if not known or one.size == self._first:
            return ""
        return f" (× {figure(one.size / self._first, '.2g')})"

    def _dot(self, painter: QPainter, one: ClassSize, width: int, ink: str) -> None:
        """A line with the axis's ticks, and the size on it."""
        painter.setPen(QPen(QColor(self.theme.grid), 2))
        painter.drawLine(QPointF(self._left, 0), QPointF(width - _GAP, 0))
        for size in self.ticks:
            x = self.at(size, width)
            painter.drawLine(QPointF(x, -_TICK), QPointF(x, _TICK))
        if 0 < one.size < math.inf:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(ink))
            painter.drawEllipse(QPointF(self.at(one.size, width), 0), _DOT, _DOT)
