"""The smallest change toward each class: its picture, where it acts, and its size as a bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import lines
from bdshift_gui.theme import LIGHT, Theme
from bdshift_gui.widgets.thumbs import as_image

_SIDE, _GAP = 40, 6
_ROW = _SIDE + 2 * _GAP
_BAR = 8  # pixels high
_MIN_BAR = 4  # pixels: the bar of the smallest
_TEXT = 18

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
        self.setMinimumHeight(2 * _ROW)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self._painter.theme = theme
        self.viewport().update()

    @property
    def rows(self) -> Sequence[ClassSize]:
        """What is shown, in this order."""
        return self._model.rows

    def show_sizes(self, found: Sequence[ClassSize], target: int, unit: str) -> None:
        """Show classes; ``target`` is marked, the others are its controls."""
        rows = smallest_first(found, target)
        self._painter.show_span(rows, target)
        self._model.show_rows(rows, target, unit)

    def height_of(self, count: int) -> int:
        """Pixels that ``count`` rows take."""
        return count * _ROW + 4


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


class _Painter(QStyledItemDelegate):
    def __init__(self, parent: ClassSizes) -> None:
        super().__init__(parent)
        self.theme: Theme = LIGHT
        self._target = -1
        self._low, self._high = 0.0, 1.0  # logarithms of the sizes at both ends of the axis

    def show_span(self, rows: Sequence[ClassSize], target: int) -> None:
        """Let the axis hold the sizes of all rows."""
        known = [math.log(one.size) for one in rows if 0 < one.size < math.inf]
        low, high = min(known, default=0.0), max(known, default=1.0)
        self._target = target
        self._low, self._high = low - 0.25, max(high, low + math.log(2))

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, _ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        one = index.data(Qt.ItemDataRole.UserRole)
        assert isinstance(one, ClassSize)
        box: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        left = box.left()
        if one.picture is not None and one.strength is not None:
            for pixels in (one.picture, mask_image(one.strength)):
                place = QRect(left, box.top() + _GAP, _SIDE, _SIDE)
                painter.drawImage(place, as_image(pixels))
                left += _SIDE + _GAP
        ours = one.index == self._target
        ink = self.theme.poisoned if ours else self.theme.text
        area = QRect(left, box.top() + _GAP, box.right() - left - _GAP, _SIDE)
        self._words(painter, one, area, ink)
        self._bar(painter, one, area, self.theme.poisoned if ours else self.theme.bar)
        painter.restore()

    def _words(self, painter: QPainter, one: ClassSize, area: QRect, ink: str) -> None:
        align = Qt.AlignmentFlag
        line = QRect(area.left(), area.top(), area.width(), _TEXT)
        size = "–" if math.isinf(one.size) else figure(one.size, ".3g")
        words = f"{size} · {percent(one.success, 0)}"
        width = painter.fontMetrics().horizontalAdvance(words) + _GAP
        painter.setPen(QColor(self.theme.muted))
        painter.drawText(line, align.AlignRight | align.AlignVCenter, words)
        mark = "◆ " if one.index == self._target else ""
        elide = Qt.TextElideMode.ElideRight
        room = line.width() - width
        name = painter.fontMetrics().elidedText(lines(mark + one.name), elide, room)
        painter.setPen(QColor(ink))
        painter.drawText(line, align.AlignLeft | align.AlignVCenter, name)

    def _bar(self, painter: QPainter, one: ClassSize, area: QRect, ink: str) -> None:
        top = area.top() + _TEXT + 5
        groove = QRectF(area.left(), top, area.width(), _BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.theme.grid))
        painter.drawRoundedRect(groove, 3, 3)
        if not 0 < one.size < math.inf:
            return
        share = (math.log(one.size) - self._low) / (self._high - self._low)
        width = max(_MIN_BAR, min(1.0, share) * area.width())
        painter.setBrush(QColor(ink))
        painter.drawRoundedRect(QRectF(area.left(), top, width, _BAR), 3, 3)
