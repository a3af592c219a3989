"""The line icons beside actions: drawings in one color, which is the theme's."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from bdshift.assets import asset

SIDE = 16
"""Of an icon, in pixels."""
_SCALES = 1.0, 1.25, 1.5, 2.0, 3.0  # of screens: one picture for each, so that none is blurred


def icon(name: str, ink: str, over: str, faint: str, *, room: int = 0) -> QIcon:
    """The icon ``name`` in the color ``ink``; ``over`` where a menu highlights it, ``faint`` where
    it is disabled; with ``room`` pixels on its right.
    """
    made = QIcon()
    for mode, color in (
        (QIcon.Mode.Normal, ink), (QIcon.Mode.Active, over), (QIcon.Mode.Disabled, faint),
    ):  # fmt: skip
        drawing = QSvgRenderer(QByteArray(_drawing(name).replace("currentColor", color).encode()))
        for scale in _SCALES:
            made.addPixmap(_drawn(drawing, round(SIDE * scale), round(room * scale)), mode)
    return made


@cache
def _drawing(name: str) -> str:
    return asset(f"icons/{name}.svg").read_text("utf-8")


def _drawn(drawing: QSvgRenderer, side: int, room: int) -> QPixmap:
    picture = QPixmap(side + room, side)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    drawing.render(painter, QRectF(0, 0, side, side))
    painter.end()
    return picture
