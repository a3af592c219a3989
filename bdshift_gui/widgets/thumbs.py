"""A row of small images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from bdshift_gui.plain import set_tip

_SIDE, _MAX_SIDE, _GAP = 48, 96, 4  # pixels
_USUAL_COUNT = 5


def as_image(pixels: NDArray[np.uint8], side: int | None = None) -> QImage:
    """Pixels (3, t, t) as an image, scaled to ``side`` if given."""
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    own = rows.shape[0]
    image = QImage(rows.data, own, own, 3 * own, QImage.Format.Format_RGB888).copy()
    smooth = Qt.TransformationMode.SmoothTransformation
    keep = Qt.AspectRatioMode.KeepAspectRatio
    return image if side is None else image.scaled(side, side, keep, smooth)


def draw_pixels(painter: QPainter, place: QRect, pixels: NDArray[np.uint8]) -> None:
    """Draw pixels (3, t, t) in a square: enlarged they stay sharp."""
    smooth = QPainter.RenderHint.SmoothPixmapTransform
    painter.setRenderHint(smooth, place.width() < pixels.shape[-1])
    painter.drawImage(place, as_image(pixels))


class Thumbs(QWidget):
    """As many thumbnails as there is room for, with their caption as a tooltip. Where there is room
    for more than five, they are larger instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self._images: list[QImage] = []
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_images(self, images: NDArray[np.uint8], caption: str) -> None:
        """Show images (n, 3, t, t)."""
        self._images = [as_image(one) for one in images]
        set_tip(self, caption)
        self.setAccessibleName(caption)
        self.update()

    def side(self, width: int) -> int:
        """Of a thumbnail, in pixels, where so much is free."""
        return min(max(_SIDE, (width + _GAP) // _USUAL_COUNT - _GAP), _MAX_SIDE)

    def heightForWidth(self, width: int) -> int:
        return self.side(width)

    def sizeHint(self) -> QSize:
        return QSize(_USUAL_COUNT * (_SIDE + _GAP) - _GAP, self.side(self.width()))

    def minimumSizeHint(self) -> QSize:
        return QSize(_SIDE, _SIDE)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.updateGeometry()  # its height follows

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        side = self.side(self.width())
        for number, image in enumerate(self._images):
            left = number * (side + _GAP)
            if left + side > self.width():
                break
            painter.drawImage(QRect(left, 0, side, side), image)
