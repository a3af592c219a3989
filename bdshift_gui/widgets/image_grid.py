"""Many images with a caption each, as large as there is room for or as the user wants them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from bdshift_gui.plain import as_tip, lines
from bdshift_gui.widgets.thumbs import draw_pixels

Pixels = NDArray[np.uint8]

GAP = 4
"""Between the pictures of a cell, in pixels."""
_MARGIN = 6  # around a cell
_LINES = 2  # of a caption
_SCROLL_BAR = 12
_MIN_WIDTH = 76  # of a cell, for its caption
_MAX_SIDE = 256  # of a picture in a single row
_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Shot:
    """One cell: pictures, uint8 (3, t, t), a caption of up to two lines, and a tooltip."""

    pictures: tuple[Pixels, ...]
    caption: str
    about: str


class Shots(QAbstractListModel):
    """``count`` cells, each made when it is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._make: Callable[[int], Shot] = _nothing

    def show(self, count: int, make: Callable[[int], Shot]) -> None:
        """Show other cells: ``make`` returns the one at a place."""
        self.beginResetModel()
        self._count, self._make = count, make
        self.endResetModel()

    def replace(self, make: Callable[[int], Shot]) -> None:
        """Show as many others in their places."""
        self._make = make

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else self._count

    def shot(self, place: int) -> Shot:
        """The cell at a place."""
        return self._make(place)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        roles = Qt.ItemDataRole
        if role in (roles.DisplayRole, roles.AccessibleTextRole):
            return lines(self.shot(index.row()).caption)
        if role in (roles.ToolTipRole, roles.AccessibleDescriptionRole):
            return as_tip(self.shot(index.row()).about)
        return None


def _nothing(place: int) -> Shot:
    raise IndexError(place)


class _Cell(QStyledItemDelegate):
    """Draws a cell: its pictures in a row or a column, in sharp pixels, and its caption below."""

    def __init__(self, grid: ImageGrid) -> None:
        super().__init__(grid)
        self._grid = grid

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return self._grid.cell_size()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        grid, palette = self._grid, self._grid.palette()
        box: QRect = option.rect
        shot, side = grid.shots.shot(index.row()), grid.side
        painter.save()
        for number, pixels in enumerate(shot.pictures):
            along = number * (side + GAP)
            left, top = (0, along) if grid.stacked else (along, 0)
            place = QRect(box.left() + _MARGIN + left, box.top() + _MARGIN + top, side, side)
            draw_pixels(painter, place, pixels)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(palette.highlight().color())
            painter.drawRoundedRect(box.adjusted(1, 1, -2, -2), 4, 4)
        painter.setPen(palette.text().color())
        height = _LINES * painter.fontMetrics().lineSpacing()
        words = box.adjusted(_MARGIN, box.height() - height - 4, -_MARGIN, 0)
        shown = "\n".join(
            painter.fontMetrics().elidedText(line, Qt.TextElideMode.ElideRight, words.width())
            for line in lines(shot.caption).split("\n")[:_LINES]
        )
        painter.drawText(words, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, shown)
        painter.restore()


class ImageGrid(QListView):
    """Cells in rows that wrap, or in one row that scrolls sideways.

    ``opened`` carries the place of a cell that was double-clicked, or chosen with Enter;
    ``resized`` says that the pictures have another size.
    """

    opened = Signal(int)
    resized = Signal()

    def __init__(self, side: int, pictures: int = 1, *, wrap: bool, stacked: bool = False) -> None:
        super().__init__()
        self.side, self.stacked, self._pictures, self._wraps = side, stacked, pictures, wrap
        self._least = side
        self.shots = Shots()
        self.setObjectName("images")
        self.setModel(self.shots)
        self.setItemDelegate(_Cell(self))
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(wrap)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setUniformItemSizes(True)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        bars = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(bars.ScrollBarAsNeeded if wrap else bars.ScrollBarAlwaysOff)
        self.activated.connect(lambda index: self.opened.emit(index.row()))
        self._fit()

    def show_shots(self, count: int, make: Callable[[int], Shot], pictures: int = 1) -> None:
        """Show ``count`` cells of ``pictures`` each; ``make`` returns the one at a place."""
        if (count, pictures) == (self.shots.rowCount(), self._pictures):
            self.shots.replace(make)  # the place that the user looks at stays
            self.viewport().update()
            return
        self._pictures = pictures
        self.shots.show(count, make)
        self._fit()

    def set_side(self, side: int) -> None:
        """Let the pictures be larger or smaller, in pixels."""
        if side != self.side:
            self.side = side
            self._fit()
            self.resized.emit()

    def cell_size(self) -> QSize:
        """Of one cell, in pixels."""
        along = self._pictures * (self.side + GAP) - GAP
        across = self.side
        text = _LINES * self.fontMetrics().lineSpacing() + 4
        width, height = (across, along) if self.stacked else (along, across)
        return QSize(max(width, _MIN_WIDTH) + 2 * _MARGIN, height + text + 2 * _MARGIN)

    def height_at(self, side: int) -> int:
        """Height of a single row of cells with pictures of a side, with its scroll bar."""
        along = self._pictures * (side + GAP) - GAP if self.stacked else side
        text = _LINES * self.fontMetrics().lineSpacing() + 4
        return along + text + 2 * _MARGIN + _SCROLL_BAR

    def _fit(self) -> None:
        if not self._wraps:
            self.setMinimumHeight(self.height_at(self._least))
        first = self.indexAt(QPoint(2 * _MARGIN, 2 * _MARGIN))
        self.setGridSize(self.cell_size())
        self.scheduleDelayedItemsLayout()
        if first.isValid():  # what is at the top stays there
            place = QPersistentModelIndex(first)
            QTimer.singleShot(0, self, lambda: self._scroll_to(place))

    def _scroll_to(self, place: QPersistentModelIndex) -> None:
        if place.isValid():
            top = QAbstractItemView.ScrollHint.PositionAtTop
            self.scrollTo(self.shots.index(place.row(), 0), top)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A single row fills the height that there is."""
        super().resizeEvent(event)
        if not self._wraps:
            spare = self.height() - self.height_at(self._least)
            per = self._pictures if self.stacked else 1
            self.set_side(min(max(self._least, self._least + spare // per), _MAX_SIDE))
