"""The image with the trigger, on which the trigger is dragged, scaled or painted."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)

from bdshift.triggers.placement import Outline
from bdshift_gui.widgets.drag import CORNERS, Corner, grown, moved, pulled
from bdshift_gui.widgets.image_square import ImageSquare, Pixels
from bdshift_gui.widgets.paint_layer import Brush, PaintLayer
from bdshift_gui.widgets.thumbs import as_image

_HANDLE = 9  # side of a corner's handle on the screen
_REACH = 8  # how near to it a press may be
_FAR = 5  # pixels of the image that an arrow key moves with Shift

_ARROWS = {
    Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1),
}  # fmt: skip
_LARGER, _SMALLER = (Qt.Key.Key_Plus, Qt.Key.Key_Equal), (Qt.Key.Key_Minus,)


class TriggerCanvas(ImageSquare):
    """``placed`` carries the `Outline` that the user gives the trigger while it is dragged, and
    whether its size is another one; ``painted`` tells that a stroke has ended.
    """

    placed = Signal(object, bool)
    painted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setMouseTracking(True)
        self.brush = Brush()
        self._clean: QImage | None = None
        self._side = 1
        self._outline: Outline | None = None
        self._scalable = False
        self._corner: Corner | None = None
        self._grip: tuple[float, float] | None = None
        self._layer: PaintLayer | None = None
        self._opacity = 1.0
        self._stroke: tuple[float, float] | None = None
        self._stale = False  # what is painted is newer than the image with the trigger
        self._cursor: tuple[float, float] | None = None

    def show_clean(self, pixels: Pixels) -> None:
        """Show an image (3, s, s) without the trigger, until `show_pixels` follows."""
        self._side = pixels.shape[-1]
        self._clean = as_image(pixels)

    def show_pixels(self, pixels: Pixels | None, caption: str) -> None:
        """See `ImageSquare`. While a stroke is painted, that is newer."""
        self._stale = self._stroke is not None
        super().show_pixels(pixels, caption)

    def show_outline(self, outline: Outline | None, *, scalable: bool) -> None:
        """Let the trigger be dragged, and scaled at its corners; None for one without a place."""
        self._outline, self._scalable = outline, scalable
        self._set_policy()

    def paint_on(self, layer: PaintLayer | None, opacity: float) -> None:
        """Let ``layer`` be painted on; None for nothing."""
        if layer is not self._layer:
            self._stroke = self._cursor = None
        self._layer, self._opacity = layer, opacity
        self._set_policy()

    def show_layer(self) -> None:
        """Show the layer, which was changed, over the clean image."""
        self._stale = True
        self.update()

    def _set_policy(self) -> None:
        usable = self._outline is not None or self._layer is not None
        policy = Qt.FocusPolicy.StrongFocus if usable else Qt.FocusPolicy.NoFocus
        self.setFocusPolicy(policy)
        if not usable:
            self.unsetCursor()
        self.update()

    # --- places on the screen and in the image

    @property
    def _scale(self) -> float:
        return self.square.width() / self._side

    def _in_image(self, point: QPointF) -> tuple[float, float]:
        """(y, x) in pixels of the image."""
        place = self.square
        return (point.y() - place.y()) / self._scale, (point.x() - place.x()) / self._scale

    def on_screen(self, y: float, x: float) -> QPoint:
        """Where the point (y, x) of the image is in the widget."""
        place = self.square
        return QPoint(round(place.x() + x * self._scale), round(place.y() + y * self._scale))

    def _rectangle(self, at: Outline) -> QRect:
        first = self.on_screen(at.top, at.left)
        last = self.on_screen(at.top + at.height, at.left + at.width)
        return QRect(first, last - QPoint(1, 1))

    def _handle(self, at: Outline, corner: Corner) -> QPoint:
        bottom, right = corner
        return self.on_screen(at.top + bottom * at.height, at.left + right * at.width)

    def _corner_at(self, point: QPointF) -> Corner | None:
        if self._outline is None or not self._scalable:
            return None
        place, at = self._rectangle(self._outline), point.toPoint()
        if place.contains(at) and min(place.width(), place.height()) <= 3 * _REACH:
            return None  # it is tiny, and could not be dragged
        for corner in CORNERS:
            away = self._handle(self._outline, corner) - at
            if max(abs(away.x()), abs(away.y())) <= _REACH:
                return corner
        return None

    # --- the mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        at = self._in_image(event.position())
        if self._layer is not None:
            self._layer.begin()
            self._paint(at, at)
        elif self._outline is not None:
            self._corner = self._corner_at(event.position())
            inside = self._rectangle(self._outline).contains(event.position().toPoint())
            if self._corner is None and inside:
                self._grip = at[0] - self._outline.top, at[1] - self._outline.left

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = self._in_image(event.position())
        if self._layer is not None:
            if self._stroke is not None:
                self._paint(self._stroke, at)
            self._cursor = at
            self.setCursor(Qt.CursorShape.CrossCursor)
            self.update()
        elif self._outline is not None and self._corner is not None:
            self._place(pulled(self._outline, self._corner, *at, self._side), scaled=True)
        elif self._outline is not None and self._grip is not None:
            top, left = round(at[0] - self._grip[0]), round(at[1] - self._grip[1])
            self._place(moved(self._outline, top, left, self._side))
        else:
            self._show_cursor(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._corner = self._grip = None
        if self._stroke is not None:
            self._stroke = None
            self.painted.emit()

    def _show_cursor(self, point: QPointF) -> None:
        shapes = Qt.CursorShape
        corner = self._corner_at(point)
        if corner is not None:
            same = corner[0] == corner[1]
            self.setCursor(shapes.SizeFDiagCursor if same else shapes.SizeBDiagCursor)
        elif self._outline is not None and self._rectangle(self._outline).contains(point.toPoint()):
            self.setCursor(shapes.SizeAllCursor)
        else:
            self.unsetCursor()

    def _place(self, at: Outline, *, scaled: bool = False) -> None:
        if at != self._outline:
            self._outline = at
            self.update()
            self.placed.emit(at, scaled)

    def _paint(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        assert self._layer is not None
        self._layer.stroke(self.brush, start, end)
        self._stroke = self._cursor = end
        self.show_layer()

    # --- the keyboard

    def keyPressEvent(self, event: QKeyEvent) -> None:
        arrow = _ARROWS.get(Qt.Key(event.key()))
        far = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if self._layer is not None and (arrow or event.key() == Qt.Key.Key_Space):
            self._paint_by_key(arrow, _FAR if far else 1)
        elif self._outline is not None and arrow:
            by = _FAR if far else 1
            top, left = self._outline.top + by * arrow[0], self._outline.left + by * arrow[1]
            self._place(moved(self._outline, top, left, self._side))
        elif self._outline is not None and self._scalable and event.key() in (*_LARGER, *_SMALLER):
            by = 1 if event.key() in _LARGER else -1
            self._place(grown(self._outline, by, self._side), scaled=True)
        else:
            super().keyPressEvent(event)

    def _paint_by_key(self, arrow: tuple[int, int] | None, by: int) -> None:
        """Move the brush, or paint where it is: in the middle of the image at first."""
        assert self._layer is not None
        y, x = self._cursor or (self._side // 2 + 0.5, self._side // 2 + 0.5)
        if arrow is not None:
            y = min(max(0.5, y + by * arrow[0]), self._side - 0.5)
            x = min(max(0.5, x + by * arrow[1]), self._side - 0.5)
            self._cursor = y, x
            self.update()
            return
        self._layer.begin()
        self._paint((y, x), (y, x))
        self._stroke = None
        self.painted.emit()

    def focusInEvent(self, event: QFocusEvent) -> None:
        if self._layer is not None and self._cursor is None:
            self._cursor = self._side // 2 + 0.5, self._side // 2 + 0.5
        self.update()
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.update()
        super().focusOutEvent(event)

    # --- what is drawn

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._stale and self._layer is not None and self._clean is not None:
            self._image = self._with_layer(self._clean, self._layer)
        super().paintEvent(event)
        painter = QPainter(self)
        accent = self.palette().highlight().color()
        if self.hasFocus() and self.focusPolicy() != Qt.FocusPolicy.NoFocus:
            painter.setPen(QPen(accent, 2))
            painter.drawRect(self.square.adjusted(1, 1, -1, -1))
        if self._layer is not None and self._cursor is not None:
            self._draw_brush(painter, self._cursor)
        elif self._outline is not None:
            self._draw_outline(painter, self._outline, accent)

    def _with_layer(self, clean: QImage, layer: PaintLayer) -> QImage:
        found = clean.copy()
        rows = np.ascontiguousarray(layer.pixels)
        paint = QImage(rows.data, layer.side, layer.side, 4 * layer.side,
                       QImage.Format.Format_RGBA8888)  # fmt: skip
        painter = QPainter(found)
        painter.setOpacity(self._opacity)
        painter.drawImage(found.rect(), paint)
        painter.end()
        return found

    def _draw_outline(self, painter: QPainter, at: Outline, accent: QColor) -> None:
        place = self._rectangle(at).adjusted(-1, -1, 0, 0)
        for color, width in ((QColor("white"), 3), (accent, 1)):  # to be seen on any image
            painter.setPen(QPen(color, width))
            painter.drawRect(place)
        if not self._scalable:
            return
        painter.setBrush(QColor("white"))
        for corner in CORNERS:
            square = QRect(0, 0, _HANDLE, _HANDLE)
            square.moveCenter(self._handle(at, corner))
            painter.drawRect(square)

    def _draw_brush(self, painter: QPainter, at: tuple[float, float]) -> None:
        radius = self.brush.size / 2 * self._scale
        middle = QPointF(self.on_screen(*at))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(self.square)
        circle = QRectF(middle - QPointF(radius, radius), middle + QPointF(radius, radius))
        for color, width in ((QColor("black"), 2.5), (QColor("white"), 1)):
            painter.setPen(QPen(color, width))
            painter.drawEllipse(circle)
