"""How a cell of the window's table is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QObject, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from bdshift_gui.theme import Theme
from bdshift_gui.widgets.table_rows import Index, TableRows, tail_of

_ARROW = 12  # pixels that the head keeps for the arrow of its order
_BARS_WIDTH, _MARGIN, _MIN_BAR = 112, 6, 2  # pixels: of a cell with bars, beside them, of one bar


class CellPainter(QStyledItemDelegate):
    """Writes the numbers of a column with their decimal points below each other, cuts long names in
    their middle, since the names of many files begin alike, and draws rows of numbers as bars.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._bar = self._marked = QColor()

    def color(self, theme: Theme) -> None:
        """Draw in the theme's colors."""
        self._bar, self._marked = QColor(theme.bar), QColor(theme.poisoned)

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        ink = index.data(Qt.ItemDataRole.ForegroundRole)
        if isinstance(ink, QColor):  # also where it is selected
            option.palette.setColor(option.palette.ColorRole.HighlightedText, ink)
        model = index.model()
        if isinstance(model, TableRows) and index.column() == model.name_place:
            option.textElideMode = Qt.TextElideMode.ElideMiddle

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        room = self._room(option, index)
        if not room:
            super().paint(painter, option, index)
            return
        model = index.model()
        assert isinstance(model, TableRows)
        column = model.columns[index.column()]
        shown = QStyleOptionViewItem(option)
        self.initStyleOption(shown, index)
        text, shown.text = shown.text, ""
        widget = shown.widget
        style = widget.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, shown, painter, widget)
        if column.bars:
            row = int(model.order[index.row()])
            self._draw_bars(painter, QRectF(shown.rect), column.bars[row], column.marked[row])
            return
        margin = style.pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin, shown, widget) + 1
        box = QRect(shown.rect).adjusted(margin, 0, -margin, 0)
        box.setRight(
            max(box.right() - room, box.left() + shown.fontMetrics.horizontalAdvance(text))
        )
        picked = QStyle.StateFlag.State_Selected in shown.state
        role = shown.palette.ColorRole.HighlightedText if picked else shown.palette.ColorRole.Text
        painter.save()
        painter.setFont(shown.font)
        painter.setPen(shown.palette.color(role))
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        hint, model = super().sizeHint(option, index), index.model()
        assert isinstance(model, TableRows)
        if model.columns[index.column()].bars:
            return QSize(_BARS_WIDTH, hint.height())
        return hint + QSize(self._room(option, index), 0)

    def _draw_bars(
        self, painter: QPainter, room: QRectF, values: Sequence[float], marked: int
    ) -> None:
        """Bars from zero, as tall as the largest fits. More than there is room for are drawn as the
        smallest of each few, which is what a low one is looked for by.
        """
        heights = np.nan_to_num(np.array(values, dtype=np.float64), posinf=0.0)
        largest = heights.max(initial=0.0)
        if not largest > 0:
            return
        room = room.adjusted(_MARGIN, 3, -_MARGIN, -3)
        most = max(1, int(room.width() / _MIN_BAR))
        groups = np.array_split(np.arange(len(heights)), min(most, len(heights)))
        step = room.width() / len(groups)
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        for at, group in enumerate(groups):
            height = room.height() * float(heights[group].min()) / largest
            left = room.left() + at * step
            painter.setBrush(self._marked if marked in group else self._bar)
            painter.drawRect(QRectF(left, room.bottom() - height, max(1.0, step * 0.8), height))
        painter.restore()

    def _room(self, option: QStyleOptionViewItem, index: Index) -> int:
        """Pixels to leave to the right of a number, where others have more decimals."""
        model = index.model()
        assert isinstance(model, TableRows)
        if not model.columns[index.column()].is_number:
            return 0
        shown = option.fontMetrics.horizontalAdvance
        longest = max(map(shown, model.tails(index.column())), default=0)
        own = tail_of(str(index.data(Qt.ItemDataRole.DisplayRole)))
        return _ARROW + max(0, longest - shown(own))
