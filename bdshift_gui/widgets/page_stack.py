"""Pages of paper below each other, as wide as there is room."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

_GAP = 14  # pixels around a page
_SHADOW = 3
_MAX_KEPT = 6  # pages that are kept at the size in which they are shown


class _Stack(QWidget):
    """The pages; only those that are seen are scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._pages: Sequence[QImage] = ()
        self._scaled: dict[int, QPixmap] = {}

    def show_pages(self, pages: Sequence[QImage]) -> None:
        self._pages = pages
        self.fit(self.width())

    def fit(self, width: int) -> None:
        """Be ``width`` wide, and as high as that makes it."""
        self._scaled.clear()
        self._wide = max(1, width - 2 * _GAP)
        self.resize(width, sum(self._height(one) + _GAP for one in self._pages) + _GAP)
        self.update()

    def _height(self, page: QImage) -> int:
        return round(self._wide * page.height() / page.width())

    def _pixmap(self, number: int, size: QSize) -> QPixmap:
        found = self._scaled.get(number)
        if found is None:
            while len(self._scaled) >= _MAX_KEPT:
                del self._scaled[next(iter(self._scaled))]
            smooth = Qt.TransformationMode.SmoothTransformation
            ratio = self.devicePixelRatioF()
            whole = Qt.AspectRatioMode.IgnoreAspectRatio
            found = QPixmap.fromImage(self._pages[number].scaled(size * ratio, whole, smooth))
            found.setDevicePixelRatio(ratio)
            self._scaled[number] = found
        return found

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, top = QPainter(self), _GAP
        shadow = QColor(0, 0, 0, 70)
        for number, page in enumerate(self._pages):
            place = QRect(_GAP, top, self._wide, self._height(page))
            if place.intersects(event.rect()):
                painter.fillRect(place.adjusted(_SHADOW, _SHADOW, _SHADOW, _SHADOW), shadow)
                painter.drawPixmap(place.topLeft(), self._pixmap(number, place.size()))
            top += place.height() + _GAP


class PageStack(QScrollArea):
    """Shows pictures of pages, to be scrolled through with wheel and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plain")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self._stack = _Stack()
        self.setWidget(self._stack)

    @property
    def count(self) -> int:
        """How many pages are shown."""
        return len(self._stack._pages)

    def show_pages(self, pages: Sequence[QImage]) -> None:
        """Show other pages; where the user has scrolled to is kept."""
        at = self.verticalScrollBar().value()
        self._stack.show_pages(pages)
        self._stack.fit(self.viewport().width())
        self.verticalScrollBar().setValue(at)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._stack.fit(self.viewport().width())
