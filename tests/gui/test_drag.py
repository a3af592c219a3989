"""Rectangles that are dragged stay within the image and keep their proportions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdshift.triggers.placement import Outline, scaled
from bdshift_gui.widgets.drag import CORNERS, Corner, grown, moved, pulled

SIDE = 32
AT = Outline(10, 6, 4, 8, (40, 80))


def inside(at: Outline, side: int = SIDE) -> bool:
    return 0 <= at.top <= side - at.height and 0 <= at.left <= side - at.width


@given(st.integers(-100, 100), st.integers(-100, 100))
def test_it_is_moved_within_the_image(top: int, left: int) -> None:
    found = moved(AT, top, left, SIDE)
    assert inside(found)
    assert (found.height, found.width) == (4, 8)
    if inside(Outline(top, left, 4, 8, AT.own)):
        assert (found.top, found.left) == (top, left)


@given(
    st.sampled_from(CORNERS), st.floats(-200, 200), st.floats(-200, 200),
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
)  # fmt: skip
def test_a_pulled_corner_keeps_the_opposite_one_and_the_proportions(
    corner: Corner, y: float, x: float, own: tuple[int, int]
) -> None:
    height, width = scaled(own, 8)
    at = Outline(10, 6, height, width, own)
    found = pulled(at, corner, y, x, SIDE)
    assert inside(found)
    assert (found.height, found.width) == scaled(own, max(found.height, found.width))
    bottom, right = corner
    fixed_y = [found.top + found.height, found.top][bottom]
    fixed_x = [found.left + found.width, found.left][right]
    assert fixed_y == [at.top + at.height, at.top][bottom]
    assert fixed_x == [at.left + at.width, at.left][right]


@pytest.mark.parametrize(
    ("corner", "to", "expected"),
    [
        ((True, True), (18, 22), (10, 6, 8, 16)),
        ((False, False), (6, 0), (7, 0, 7, 14)),
        ((True, True), (100, 100), (10, 6, 13, 26)),  # as far as the edge
        ((True, True), (0, 0), (10, 6, 1, 1)),  # past the opposite corner
    ],
)
def test_a_corner_follows_the_pointer(
    corner: Corner, to: tuple[int, int], expected: tuple[int, ...]
) -> None:
    found = pulled(AT, corner, *to, SIDE)
    assert (found.top, found.left, found.height, found.width) == expected


def test_it_grows_by_keys_within_the_image() -> None:
    assert grown(AT, 2, SIDE) == Outline(10, 6, 5, 10, AT.own)
    assert grown(AT, -100, SIDE) == Outline(10, 6, 1, 1, AT.own)
    at_the_edge = Outline(28, 24, 4, 8, AT.own)
    assert grown(at_the_edge, 2, SIDE) == Outline(27, 22, 5, 10, AT.own)
    assert inside(grown(AT, 1000, SIDE))
