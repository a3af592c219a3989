"""Pictures and drawings among the text of a printed page: sharp at any size."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Protocol

from PySide6.QtCore import QByteArray, QObject, QRect, QRectF, QSizeF
from PySide6.QtGui import (
    QColor,
    QImage,
    QPainter,
    QPen,
    QPyTextObject,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtSvg import QSvgRenderer

FIGURE = QTextFormat.ObjectTypes.UserObject.value + 1
"""Kind of a character that stands for a figure."""
WHICH = QTextFormat.Property.UserProperty.value + 1
"""Property of that character: the number of the figure."""

_PICTURE = "data:image/png;base64,"
_WORDS = re.compile(r"<text ([^>]*)>([^<]*)</text>")
_FRAME = 0.6  # pixels that its line is wide
_HEAD = re.compile(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>")
_HALO = 'stroke="#ffffff" stroke-width="3" fill="none"'  # around words, as on the page
_ENLARGED = 256  # pixels that a picture has at least, so that no viewer of PDF files blurs its own


class Drawable(Protocol):
    """Something that is drawn within a place of this size, in pixels at 96 dpi."""

    size: QSizeF

    def draw(self, painter: QPainter, place: QRectF) -> None:
        """Draw it."""
        ...


class Photo:
    """A picture as a square of visible pixels, with a thin frame. Raises ValueError if ``address``
    is none that the report has.
    """

    def __init__(self, address: str, side: float, frame: str) -> None:
        self.size, self._frame = QSizeF(side, side), frame
        if not address.startswith(_PICTURE):
            raise ValueError("a picture that is not in the page")
        image = QImage()
        # Named, because Qt would try its SVG reader, too. That waits for a lock of signals, with
        # Python's held; the window, which had the one and waited for the other, stood still.
        if not image.loadFromData(base64.b64decode(address.removeprefix(_PICTURE)), "PNG"):
            raise ValueError("a picture that cannot be read")
        times = -(-_ENLARGED // max(1, image.width()))
        self._image = image.scaled(image.width() * times, image.height() * times)

    def draw(self, painter: QPainter, place: QRectF) -> None:
        painter.drawImage(place, self._image)
        painter.setPen(QPen(QColor(self._frame), _FRAME))
        painter.drawRect(place.adjusted(_FRAME, _FRAME, -_FRAME, -_FRAME))


class Plot:
    """A drawing of the report, in the colors of its page, as wide as ``width``, and no higher than
    ``most``. Raises ValueError if it is none.
    """

    def __init__(
        self, source: str, width: float, most: float, inks: Mapping[str, str], family: str
    ) -> None:
        text = re.sub(r"var\(--(\w+)\)", lambda found: inks[found[1]], source)
        text = _WORDS.sub(lambda found: _outlined(found, inks["muted"]), text)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" font-family="{family}" font-size="11"'
        text = _HEAD.sub(lambda found: f"{head} {found[1]}>", text, count=1)
        self._drawn = QSvgRenderer(QByteArray(text.encode()))
        if not self._drawn.isValid():
            raise ValueError("a drawing that cannot be drawn")
        box = self._drawn.viewBoxF()
        high = width * box.height() / max(1.0, box.width())
        scale = min(1.0, most / max(1.0, high))
        self.size = QSizeF(width * scale, high * scale)

    def draw(self, painter: QPainter, place: QRectF) -> None:
        self._drawn.render(painter, place)


def _outlined(found: re.Match[str], ink: str) -> str:
    """Words of a drawing on what is under them."""
    more, words = found.groups()
    form = more if "fill=" in more else f'{more} fill="{ink}"'
    return f"<text {more} {_HALO}>{words}</text><text {form}>{words}</text>"


class InlineFigures(QPyTextObject):
    """Draws those that are in a document."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.known: list[Drawable] = []

    def intrinsicSize(self, document: QTextDocument, position: int, form: QTextFormat) -> QSizeF:
        return self.known[int(form.intProperty(WHICH))].size

    def drawObject(
        self,
        painter: QPainter,
        place: QRectF | QRect,
        document: QTextDocument,
        position: int,
        form: QTextFormat,
    ) -> None:
        painter.save()
        self.known[int(form.intProperty(WHICH))].draw(painter, QRectF(place))
        painter.restore()
