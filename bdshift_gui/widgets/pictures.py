"""One large picture with a caption, in sharp pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from bdshift_gui.plain import lines, set_tip
from bdshift_gui.widgets.thumbs import as_image

_CAPTION = 24


class Picture(QWidget):
    """A square of ``side`` pixels, with room for a ``caption`` below: pixels stay visible."""

    def __init__(self, side: int = 128, *, caption: bool = True) -> None:
        super().__init__()
        self._side, self._below = side, _CAPTION if caption else 0
        self._image: QImage | None = None
        self._caption = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_side(self, side: int) -> None:
        """Let it be larger or smaller."""
        if side != self._side:
            self._side = side
            self.updateGeometry()
            self.update()

    def show_pixels(self, pixels: NDArray[np.uint8] | None, caption: str, about: str) -> None:
        """Show pixels (3, s, s), or an empty square."""
        self._image = None if pixels is None else as_image(pixels)
        self._caption = caption
        set_tip(self, about)
        self.setAccessibleName(caption)
        self.setAccessibleDescription(about)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self._side, self._side + self._below)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._image is not None:
            painter.drawImage(QRect(0, 0, self._side, self._side), self._image)
            painter.setPen(self.palette().mid().color())  # a white picture is on a white card
            painter.drawRect(QRect(0, 0, self._side - 1, self._side - 1))
        if not self._below:
            return
        palette, align = self.palette(), Qt.AlignmentFlag
        painter.setPen(palette.placeholderText().color())
        place = QRect(0, self._side, self._side, self._below)
        painter.drawText(place, align.AlignCenter, lines(self._caption))
