"""A row of small images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from bdshift_gui.plain import set_tip

_SIDE, _GAP = 48, 4


def as_image(pixels: NDArray[np.uint8], side: int | None = None) -> QImage:
    """Pixels (3, t, t) as an image, scaled to ``side`` if given."""
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    own = rows.shape[0]
    image = QImage(rows.data, own, own, 3 * own, QImage.Format.Format_RGB888).copy()
    smooth = Qt.TransformationMode.SmoothTransformation
    keep = Qt.AspectRatioMode.KeepAspectRatio
    return image if side is None else image.scaled(side, side, keep, smooth)


class Thumbs(QWidget):
    """As many thumbnails as there is room for, with their caption as a tooltip."""

    def __init__(self, side: int = _SIDE) -> None:
        super().__init__()
        self._side = side
        self._images: list[QImage] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_images(self, images: NDArray[np.uint8], caption: str) -> None:
        """Show images (n, 3, t, t)."""
        self._images = [as_image(one) for one in images]
        set_tip(self, caption)
        self.setAccessibleName(caption)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(5 * (self._side + _GAP) - _GAP, self._side)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._side, self._side)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        step = self._side + _GAP
        for number, image in enumerate(self._images):
            if (number + 1) * step - _GAP > self.width():
                break
            painter.drawImage(QRect(number * step, 0, self._side, self._side), image)
