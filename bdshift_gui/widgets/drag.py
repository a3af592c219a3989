"""Where a rectangle on an image is after it was dragged, or pulled at a corner."""

from __future__ import annotations

from dataclasses import replace

from bdshift.triggers.placement import Outline, scaled

Corner = tuple[bool, bool]
"""Whether it is at the bottom, and at the right."""

CORNERS: tuple[Corner, ...] = ((False, False), (False, True), (True, False), (True, True))


def moved(at: Outline, top: int, left: int, side: int) -> Outline:
    """The rectangle at another place, kept within an image of ``side`` pixels."""
    top = min(max(0, top), side - at.height)
    return replace(at, top=top, left=min(max(0, left), side - at.width))


def pulled(at: Outline, corner: Corner, y: float, x: float, side: int) -> Outline:
    """The rectangle with a corner pulled to (y, x), in pixels. The opposite corner stays, so do the
    proportions, and it stays within an image of ``side`` pixels.
    """
    bottom, right = corner
    fixed_y = at.top if bottom else at.top + at.height
    fixed_x = at.left if right else at.left + at.width
    room = side - fixed_y if bottom else fixed_y, side - fixed_x if right else fixed_x
    down = y - fixed_y if bottom else fixed_y - y
    across = x - fixed_x if right else fixed_x - x
    share = max(0, down / at.own[0], across / at.own[1])
    tall, wide = sized(at.own, round(share * max(at.own)), room)
    return Outline(
        fixed_y if bottom else fixed_y - tall, fixed_x if right else fixed_x - wide,
        tall, wide, at.own,
    )  # fmt: skip


def grown(at: Outline, by: int, side: int) -> Outline:
    """The rectangle with its longer side ``by`` pixels longer, moved only if it would not fit."""
    tall, wide = sized(at.own, max(at.height, at.width) + by, (side, side))
    return moved(replace(at, height=tall, width=wide), at.top, at.left, side)


def sized(own: tuple[int, int], longer: int, room: tuple[int, int]) -> tuple[int, int]:
    """Height and width with that longer side, or with the longest that fits into ``room``."""
    longest = max(own) * min(room[0] / own[0], room[1] / own[1])
    longer = max(1, min(longer, int(longest)))
    return scaled(own, longer)
