"""Sizes of paper, and which one a country uses."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QLocale, QRectF
from PySide6.QtGui import QPageSize

_MARGIN, _FOOT = 60.0, 24.0  # pixels at 96 dpi: 16 and 6 mm
_DPI = 96.0
_LETTER = frozenset("BZ CA CL CO CR GT MX NI PA PH PR SV US VE".split())
"""Countries whose offices use it, from Unicode's CLDR."""


@dataclass(frozen=True)
class PaperSize:
    """A size of paper, by the name that users know it by."""

    name: str
    id: QPageSize.PageSizeId

    @property
    def sheet(self) -> QRectF:
        """The whole sheet, in pixels at 96 dpi."""
        size = QPageSize.size(self.id, QPageSize.Unit.Inch)
        return QRectF(0, 0, size.width() * _DPI, size.height() * _DPI)

    @property
    def inside(self) -> QRectF:
        """Where the text goes."""
        return self.sheet.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN - _FOOT)

    @property
    def foot(self) -> QRectF:
        """Where the number of the page goes."""
        inside = self.inside
        return QRectF(inside.left(), inside.bottom() + _FOOT / 2, inside.width(), _FOOT)


PAPERS = {
    "a4": PaperSize("A4", QPageSize.PageSizeId.A4),
    "letter": PaperSize("Letter", QPageSize.PageSizeId.Letter),
}


def usual_paper() -> str:
    """Key of the paper that is usual where the user is."""
    country = QLocale.territoryToCode(QLocale.system().territory())
    return "letter" if country in _LETTER else "a4"
