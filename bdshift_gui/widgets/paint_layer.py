"""What is painted by hand on an image, stroke by stroke, with what can be undone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bdshift.triggers.drawing import Drawing

_MAX_UNDO_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Brush:
    """A round brush.

    Attributes:
        color: RGB, 0…255.
        size: its diameter in pixels of the image.
        erases: whether it takes paint away.
    """

    color: tuple[int, int, int] = (255, 0, 0)
    size: int = 2
    erases: bool = False


class PaintLayer:
    """``pixels`` is RGBA, uint8 (s, s, 4)."""

    def __init__(self, side: int) -> None:
        self.pixels: Drawing = np.zeros((side, side, 4), np.uint8)
        self._undone: list[Drawing] = []
        self._done: list[Drawing] = []

    def start_from(self, pixels: Drawing) -> None:
        """Paint on another drawing; nothing can be undone then."""
        self.pixels = pixels
        self._done.clear()
        self._undone.clear()

    @property
    def side(self) -> int:
        """Height and width in pixels."""
        return len(self.pixels)

    @property
    def can_undo(self) -> bool:
        """Whether there is a stroke to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is one to do again."""
        return bool(self._undone)

    def begin(self) -> None:
        """Begin a stroke, or another change, that is undone as a whole."""
        self._done.append(self.pixels.copy())
        del self._done[: -max(1, _MAX_UNDO_BYTES // self.pixels.nbytes)]
        self._undone.clear()

    def stroke(self, brush: Brush, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Paint along a line between two points (y, x); the middle of the first pixel is (½, ½)."""
        steps = max(1, math.ceil(2 * math.dist(start, end)))
        for step in range(steps + 1):
            share = step / steps
            self._dab(brush, start[0] + share * (end[0] - start[0]),
                      start[1] + share * (end[1] - start[1]))  # fmt: skip

    def _dab(self, brush: Brush, y: float, x: float) -> None:
        """One touch: the pixels whose middle the brush covers, and at least the one it is in."""
        radius = brush.size / 2
        top, left = max(0, math.floor(y - radius)), max(0, math.floor(x - radius))
        part = self.pixels[top : math.ceil(y + radius) + 1, left : math.ceil(x + radius) + 1]
        if not part.size:
            return
        rows = np.arange(top, top + part.shape[0])[:, None]
        columns = np.arange(left, left + part.shape[1])
        near = (rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 <= radius**2
        near |= (rows == math.floor(y)) & (columns == math.floor(x))
        part[near] = (0, 0, 0, 0) if brush.erases else (*brush.color, 255)

    def clear(self) -> None:
        """Take all paint away; can be undone."""
        self.begin()
        self.pixels[:] = 0

    def undo(self) -> None:
        """Undo the last stroke, if there is one."""
        self._swap(self._done, self._undone)

    def redo(self) -> None:
        """Do again what was undone last, if anything was."""
        self._swap(self._undone, self._done)

    def _swap(self, taken: list[Drawing], kept: list[Drawing]) -> None:
        if taken:
            kept.append(self.pixels)
            self.pixels = taken.pop()
