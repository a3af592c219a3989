"""Where a patch is on an image, and the settings that say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bdshift.setting import Role, setting
from bdshift.words import words


@dataclass(frozen=True)
class Outline:
    """A rectangle on an image, in pixels.

    Attributes:
        top, left, height, width: of the rectangle.
        own: height and width of what fills it, before it is scaled.
    """

    top: int
    left: int
    height: int
    width: int
    own: tuple[int, int]


def first_pixel(position: int, extent: int, length: int) -> int:
    """Where a patch of ``extent`` pixels begins along an axis of ``length``; a negative position
    counts from the other edge, which −1 touches. It may be outside.
    """
    return position if position >= 0 else length - extent + position + 1


def scaled(own: tuple[int, int], longer: int) -> tuple[int, int]:
    """Height and width, scaled so that the longer of them is ``longer``; at least one pixel."""
    return _times(own, longer / max(own))


def fitted(own: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Height and width as they are, or scaled down until they fit."""
    return _times(own, min(1, height / own[0], width / own[1]))


def _times(own: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(own[0] * factor)), max(1, round(own[1] * factor))


def row_setting() -> Any:
    """The first row of a patch."""
    return _place_setting(words("Row", ja="行"), "row")


def column_setting() -> Any:
    """The first column of a patch."""
    return _place_setting(words("Column", ja="列"), "column")


def _place_setting(label: str, role: Role) -> Any:
    return setting(
        -1, label,
        words("Pixels from the top or left edge; negative: from the other edge, which −1 touches.",
              ja="上端または左端からのピクセル数。負なら反対側の端から数え、−1 は端に接します。"),
        low=-1024, high=1023, unit="px", role=role,
    )  # fmt: skip


def opacity_setting() -> Any:
    """How much of a picture shows."""
    return setting(
        1.0, words("Opacity", ja="不透明度"),
        words("1 hides what is under it.", ja="1 なら下の画像は見えません。"),
        low=0, above=True, high=1, decimals=2, step=0.05, role="opacity",
    )  # fmt: skip
