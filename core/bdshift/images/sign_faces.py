"""The faces of traffic signs: twelve as they are on roads, and combinations of boards and symbols
for sets of more classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product

from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Point = tuple[float, float]

SIZE = 32
SCALE = 3  # drawn three times as large, then averaged down, for smooth edges
CANVAS = SIZE * SCALE

_RED, _BLUE, _YELLOW = (196, 30, 42), (24, 88, 168), (244, 196, 24)
_WHITE, _BLACK, _GREEN = (244, 244, 240), (26, 26, 28), (20, 120, 70)


class Face:
    """A sign's face in unit coordinates (−1…1, y down), drawn on a transparent square."""

    def __init__(self, recolor: Callable[[Color], Color]) -> None:
        self.image = Image.new("RGBA", (CANVAS, CANVAS), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)
        self._recolor = recolor

    def _at(self, x: float, y: float) -> Point:
        half = CANVAS / 2
        return half + x * half, half + y * half

    def polygon(self, points: list[Point], fill: Color) -> None:
        """A polygon."""
        self._draw.polygon([self._at(x, y) for x, y in points], fill=self._recolor(fill))

    def regular(self, sides: int, radius: float, turn: float, fill: Color) -> None:
        """A regular polygon, turned by an angle in radians."""
        angles = [turn + 2 * math.pi * k / sides for k in range(sides)]
        self.polygon([(radius * math.sin(a), -radius * math.cos(a)) for a in angles], fill)

    def disc(self, radius: float, fill: Color, x: float = 0.0, y: float = 0.0) -> None:
        """A disc."""
        box = (self._at(x - radius, y - radius), self._at(x + radius, y + radius))
        self._draw.ellipse(box, fill=self._recolor(fill))

    def bar(self, left: float, top: float, right: float, bottom: float, fill: Color) -> None:
        """A rectangle."""
        box = (self._at(left, top), self._at(right, bottom))
        self._draw.rectangle(box, fill=self._recolor(fill))

    def text(self, text: str, height: float, fill: Color, y: float = 0.0) -> None:
        """Text, centered."""
        font = ImageFont.load_default(size=height * CANVAS / 2)
        self._draw.text(
            self._at(0, y), text, font=font, fill=self._recolor(fill), anchor="mm",
            stroke_width=max(1, SCALE // 2), stroke_fill=self._recolor(fill),
        )  # fmt: skip


def _caution(face: Face) -> None:
    face.polygon([(0, -0.95), (0.98, 0.8), (-0.98, 0.8)], _RED)
    face.polygon([(0, -0.6), (0.68, 0.62), (-0.68, 0.62)], _WHITE)
    face.polygon([(-0.12, -0.3), (0.12, -0.3), (0.06, 0.22), (-0.06, 0.22)], _BLACK)
    face.disc(0.1, _BLACK, y=0.42)


def _crossing(face: Face) -> None:
    face.bar(-0.88, -0.88, 0.88, 0.88, _BLUE)
    face.polygon([(0, -0.72), (0.72, 0.62), (-0.72, 0.62)], _WHITE)
    face.disc(0.12, _BLACK, y=-0.3)
    face.polygon([(-0.1, -0.15), (0.12, -0.15), (0.1, 0.2), (-0.08, 0.2)], _BLACK)
    face.polygon([(-0.08, 0.15), (0.04, 0.15), (-0.14, 0.55), (-0.26, 0.55)], _BLACK)
    face.polygon([(0.0, 0.15), (0.1, 0.15), (0.28, 0.55), (0.16, 0.55)], _BLACK)


def _arrow(face: Face, side: int) -> None:
    face.disc(0.95, _WHITE)
    face.disc(0.87, _BLUE)
    shaft = [(-0.55, -0.28), (-0.33, -0.5), (0.18, 0.02), (-0.04, 0.24)]
    head = [(0.5, 0.56), (0.46, -0.22), (-0.28, 0.52)]
    face.polygon([(side * x, y) for x, y in shaft], _WHITE)
    face.polygon([(side * x, y) for x, y in head], _WHITE)


def _no_entry(face: Face) -> None:
    face.disc(0.95, _WHITE)
    face.disc(0.88, _RED)
    face.bar(-0.62, -0.18, 0.62, 0.18, _WHITE)


def _parking(face: Face) -> None:
    face.bar(-0.88, -0.88, 0.88, 0.88, _BLUE)
    face.text("P", 1.55, _WHITE)


def _priority(face: Face) -> None:
    face.regular(4, 1.0, 0.0, _WHITE)
    face.regular(4, 0.86, 0.0, _BLACK)
    face.regular(4, 0.8, 0.0, _WHITE)
    face.regular(4, 0.58, 0.0, _YELLOW)


def _speed(face: Face, limit: str) -> None:
    face.disc(0.95, _RED)
    face.disc(0.7, _WHITE)
    face.text(limit, 0.98, _BLACK)


def _stop(face: Face) -> None:
    face.regular(8, 1.0, math.pi / 8, _WHITE)
    face.regular(8, 0.92, math.pi / 8, _RED)
    face.text("STOP", 0.68, _WHITE)


def _yield(face: Face) -> None:
    face.polygon([(0, 0.95), (0.98, -0.8), (-0.98, -0.8)], _RED)
    face.polygon([(0, 0.5), (0.62, -0.58), (-0.62, -0.58)], _WHITE)


FACES: dict[str, Callable[[Face], None]] = {
    "caution": _caution,
    "crossing": _crossing,
    "keep_left": lambda face: _arrow(face, -1),
    "keep_right": lambda face: _arrow(face, 1),
    "no_entry": _no_entry,
    "parking": _parking,
    "priority": _priority,
    "speed_30": lambda face: _speed(face, "30"),
    "speed_50": lambda face: _speed(face, "50"),
    "speed_80": lambda face: _speed(face, "80"),
    "stop": _stop,
    "yield": _yield,
}
"""The first twelve are as on roads; the others follow, so that any number of them is varied."""


_PAINTS: dict[str, Color] = {
    "purple": (132, 40, 150), "teal": (0, 128, 136), "orange": (226, 106, 16),
    "brown": (104, 62, 28),
}  # fmt: skip


def _board(face: Face, name: str, paint: Color | None = None) -> Color:
    """Draw one of `_BOARDS`, in its own color or in ``paint``; returns the color of what is written
    on it.
    """
    match name:
        case "ring":
            face.disc(0.95, paint or _RED)
            face.disc(0.7, _WHITE)
        case "blue_disc":
            face.disc(0.95, _WHITE)
            face.disc(0.87, paint or _BLUE)
        case "blue_board":
            face.bar(-0.88, -0.88, 0.88, 0.88, paint or _BLUE)
        case "green_board":
            face.bar(-0.95, -0.8, 0.95, 0.8, _WHITE)
            face.bar(-0.87, -0.72, 0.87, 0.72, paint or _GREEN)
        case "white_board":
            face.bar(-0.88, -0.88, 0.88, 0.88, paint or _BLACK)
            face.bar(-0.76, -0.76, 0.76, 0.76, _WHITE)
        case "diamond":
            face.regular(4, 1.0, 0.0, _BLACK)
            face.regular(4, 0.88, 0.0, paint or _YELLOW)
        case "octagon":
            face.regular(8, 1.0, math.pi / 8, _WHITE)
            face.regular(8, 0.92, math.pi / 8, paint or _RED)
        case _:
            face.regular(6, 1.0, 0.0, paint or _RED)
            face.regular(6, 0.74, 0.0, _WHITE)
    is_filled = name in ("blue_disc", "blue_board", "green_board", "octagon")
    return _WHITE if is_filled or (paint and name == "diamond") else _BLACK


_BOARDS = ("ring", "blue_board", "diamond", "octagon", "blue_disc", "white_board", "green_board",
           "hexagon")  # fmt: skip
_SYMBOLS = "3AX7KTEHSMZ"
_MORE_SYMBOLS = "BCDFJLNPRUVY469"  # none that looks like one of the others: no O, Q, I, G, W, 1, 8


def _combined(face: Face, board: str, symbol: str, paint: Color | None = None) -> None:
    face.text(symbol, 1.1, _board(face, board, paint))


FACES |= {
    f"{board}_{symbol.lower()}": partial(_combined, board=board, symbol=symbol)
    for symbol, board in product(_SYMBOLS, _BOARDS)
}
FACES |= {
    f"{board}_{symbol.lower()}": partial(_combined, board=board, symbol=symbol)
    for symbol, board in product(_MORE_SYMBOLS, _BOARDS)
}
FACES |= {
    f"{board}_{symbol.lower()}_{name}": partial(_combined, board=board, symbol=symbol, paint=paint)
    for symbol, (name, paint), board in product(_SYMBOLS + _MORE_SYMBOLS, _PAINTS.items(), _BOARDS)
}
