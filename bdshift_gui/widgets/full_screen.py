"""One image on the whole screen, with keys to go on, to switch and to leave."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QDialog, QWidget

from bdshift_gui.i18n import tr
from bdshift_gui.plain import lines
from bdshift_gui.widgets.image_grid import Shot
from bdshift_gui.widgets.thumbs import draw_pixels

_BACKGROUND, _WORDS, _MUTED = "#101215", "#e7eaee", "#9aa4b2"  # like a light table, in any scheme
_MARGIN, _FOOT = 24, 64  # pixels

_Keys = Qt.Key
_STEPS = {
    _Keys.Key_Left: -1, _Keys.Key_Up: -1, _Keys.Key_PageUp: -1,
    _Keys.Key_Right: 1, _Keys.Key_Down: 1, _Keys.Key_PageDown: 1, _Keys.Key_Space: 1,
}  # fmt: skip


class FullScreenImage(QDialog):
    """Shows the cells of a grid one by one; ``moved`` carries the place of the one shown."""

    moved = Signal(int)

    def __init__(self, parent: QWidget, count: int, make: Callable[[int], Shot]) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._count, self._make = count, make
        self.place = 0
        self._sharp: Shot | None = None
        self._why_not = ""  # shown at full size
        self._alone = -1  # which picture of the cell is shown alone
        self.setMinimumSize(480, 360)

    def show_place(self, place: int) -> None:
        """Show another cell, from the first to the last."""
        self.place = min(max(place, 0), self._count - 1)
        self._sharp, self._why_not = None, ""
        self._tell()
        self.moved.emit(self.place)

    def sharpen(self, place: int, shot: Shot) -> None:
        """Show a cell that has been read at full size, if it is still the one shown."""
        if place == self.place:
            self._sharp = shot
            self._tell()

    def explain(self, place: int, why: str) -> None:
        """Say why a cell cannot be shown at full size, if it is still the one shown."""
        if place == self.place:
            self._why_not = why
            self._tell()

    @property
    def shot(self) -> Shot:
        """What is shown."""
        return self._sharp or self._make(self.place)

    def _tell(self) -> None:
        self.setWindowTitle(lines(self.shot.caption).replace("\n", " "))
        self.setAccessibleName(self.windowTitle())
        self.setAccessibleDescription(lines(self.shot.about))
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows go on, Home and End to the ends, Tab switches the pictures, Esc leaves."""
        key = _Keys(event.key())
        if key in _STEPS:
            self.show_place(self.place + _STEPS[key])
        elif key == _Keys.Key_Home:
            self.show_place(0)
        elif key == _Keys.Key_End:
            self.show_place(self._count - 1)
        elif key in (_Keys.Key_Return, _Keys.Key_Enter):
            self._switch()
        else:
            super().keyPressEvent(event)

    def focusNextPrevChild(self, next_one: bool) -> bool:
        """Tab switches between all pictures of a cell and each of them alone."""
        self._switch(1 if next_one else -1)
        return True

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click on the left third goes back, elsewhere on."""
        back = event.position().x() < self.width() / 3
        self.show_place(self.place + (-1 if back else 1))

    def _switch(self, step: int = 1) -> None:
        count = len(self.shot.pictures)
        self._alone = (self._alone + 1 + step) % (count + 1) - 1 if count > 1 else -1
        self._tell()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The pictures side by side as large as they fit, the words below."""
        shot = self.shot
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(_BACKGROUND))
        alone = 0 <= self._alone < len(shot.pictures)
        pictures = shot.pictures[self._alone :][:1] if alone else shot.pictures
        count = len(pictures)
        width = (self.width() - (count + 1) * _MARGIN) // count
        side = max(1, min(width, self.height() - _FOOT - 2 * _MARGIN))
        left = (self.width() - count * side - (count - 1) * _MARGIN) // 2
        top = (self.height() - _FOOT - side) // 2
        for number, pixels in enumerate(pictures):
            place = QRect(left + number * (side + _MARGIN), top, side, side)
            draw_pixels(painter, place, pixels)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
        foot = QRect(_MARGIN, self.height() - _FOOT, self.width() - 2 * _MARGIN, _FOOT // 2)
        painter.setPen(QColor(_WORDS))
        words = [shot.about, self._why_not] if self._why_not else [shot.about]
        painter.drawText(foot, flags, lines(" · ".join(words)))
        painter.setPen(QColor(_MUTED))
        keys = tr("{number} of {count} · arrows: next image · Tab: one picture · Esc: close",
                  number=self.place + 1, count=self._count)  # fmt: skip
        painter.drawText(foot.translated(0, _FOOT // 2 - 6), flags, lines(keys))
