"""The picture of why: images before and after what is held against a class, in two rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import set_tip
from bdshift_gui.widgets.thumbs import draw_pixels

if TYPE_CHECKING:
    from bdshift.audit.exhibit import Exhibit

_GAP, _BETWEEN = 4, 14  # pixels between images, and between the rows, for the arrows
_MAX_SIDE = 112


class ExhibitPart(QWidget):
    """As wide as there is room for. ``clicked`` says that the user wants to see more."""

    clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._shown: Exhibit | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.hide()

    def show_exhibit(self, shown: Exhibit | None) -> None:
        """Show the picture; None hides it."""
        self._shown = shown
        self.setVisible(shown is not None)
        if shown is not None:
            captions = ", ".join(map(say, shown.captions))
            words = say(shown.sentence) + (f" {captions}." if captions else "")
            set_tip(self, f"{words}\n" + tr("Click to see more of them."))
            self.setAccessibleName(words)
        self.updateGeometry()
        self.update()

    def heightForWidth(self, width: int) -> int:
        return 2 * self._side(width) + _BETWEEN

    def sizeHint(self) -> QSize:
        width = max(self.width(), 2 * _MAX_SIDE)
        return QSize(width, self.heightForWidth(width))

    def _side(self, width: int) -> int:
        count = 1 if self._shown is None else len(self._shown.before)
        return max(1, min((width - (count - 1) * _GAP) // count, _MAX_SIDE))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.updateGeometry()  # its height follows

    def paintEvent(self, event: QPaintEvent) -> None:
        shown = self._shown
        if shown is None:
            return
        painter = QPainter(self)
        side = self._side(self.width())
        painter.setPen(self.palette().placeholderText().color())
        for number, pair in enumerate(zip(shown.before, shown.after, strict=True)):
            left = number * (side + _GAP)
            for row, pixels in enumerate(pair):
                top = row * (side + _BETWEEN)
                draw_pixels(painter, QRect(left, top, side, side), pixels)
            middle = QRect(left, side, side, _BETWEEN)
            painter.drawText(middle, Qt.AlignmentFlag.AlignCenter, "↓")
        if self.hasFocus():
            painter.setPen(self.palette().highlight().color())
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.rect().contains(event.position().toPoint()):
            self.clicked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)
