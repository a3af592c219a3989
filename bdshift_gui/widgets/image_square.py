"""One image, square, as large as there is room, in sharp pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from bdshift_gui.plain import lines, set_tip
from bdshift_gui.widgets.thumbs import as_image

_CAPTION = 22
_MARGIN = 5  # for handles at the edge
_MIN_SIDE, _USUAL_SIDE = 160, 248
_SHARP = 2  # from this magnification on

Pixels = NDArray[np.uint8]


class ImageSquare(QWidget):
    """A caption is below it."""

    def __init__(self) -> None:
        super().__init__()
        self._image: QImage | None = None
        self._caption = ""
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_pixels(self, pixels: Pixels | None, caption: str) -> None:
        """Show pixels (3, s, s), or an empty square."""
        self._image = None if pixels is None else as_image(pixels)
        self._caption = caption
        set_tip(self, caption)
        self.setAccessibleName(caption)
        self.update()

    @property
    def square(self) -> QRect:
        """Where the image is."""
        side = min(self.width(), self.height() - _CAPTION) - 2 * _MARGIN
        return QRect((self.width() - side) // 2, _MARGIN, side, side)

    def heightForWidth(self, width: int) -> int:
        return width + _CAPTION

    def sizeHint(self) -> QSize:
        return QSize(_USUAL_SIDE, _USUAL_SIDE + _CAPTION)

    def minimumSizeHint(self) -> QSize:
        return QSize(_MIN_SIDE, _MIN_SIDE + _CAPTION)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        place = self.square
        if self._image is not None:
            blurred = place.width() < _SHARP * self._image.width()
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, blurred)
            painter.drawImage(place, self._image)
        painter.setPen(self.palette().mid().color())
        painter.drawRect(place.adjusted(0, 0, -1, -1))
        painter.setPen(self.palette().placeholderText().color())
        below = QRect(0, place.bottom() + _MARGIN, self.width(), _CAPTION)
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, lines(self._caption))
