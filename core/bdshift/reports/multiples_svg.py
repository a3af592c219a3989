"""The curve of task arithmetic as inline SVG: what each multiple of a vector leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from bdshift.purification.multiples import Multiple, shown_accuracies
from bdshift.reports.svg import drawing, text_at
from bdshift.text import figure

_HEIGHT, _ROOM, _HIGH = 260, 300, 190
_TOP, _LEFTS = 16, (44, 404)
_MIDDLE = 'text-anchor="middle"'

Line = tuple[str, str, Callable[[Multiple], float], str]
"""Its words, its ink, the share that it shows, and attributes of its stroke."""


def draw_multiples(
    curve: Sequence[Multiple], control: Sequence[Multiple], words: Sequence[str]
) -> Markup:
    """Left, accuracy, ASR and the target's recall by α; right, ASR by accuracy, of the vector and
    of the control. ``words`` are accuracy, ASR, recall, control, in the page's language.
    Where enough accuracy is left is shaded.
    """
    accuracy, asr, recall, beside = words
    dashed = 'stroke-dasharray="5 4"'
    lines: list[Line] = [
        (accuracy, "var(--accent)", lambda one: one.accuracy, ""),
        (asr, "var(--red)", lambda one: one.asr, ""),
        (recall, "var(--bar)", lambda one: one.recall, dashed),
    ]
    left, right = _LEFTS
    most = max(one.alpha for one in curve) or 1.0
    least = curve[0].least
    parts = _axes(left)
    if math.isfinite(least):
        parts.append(_shaded(left, _TOP, _ROOM, _HIGH * (1 - least)))
    for name, ink, share, stroke in lines:
        points = [
            (left + _ROOM * one.alpha / most, _height(share(one)))
            for one in curve
            if one.alpha >= 0 and math.isfinite(share(one))
        ]
        parts.append(_polyline(points, ink, stroke, name))
    for alpha in (0.0, most / 2, most):
        x = left + _ROOM * alpha / most
        parts.append(text_at(x, _TOP + _HIGH + 14, figure(alpha, ".3g"), _MIDDLE))
    parts.append(text_at(left + _ROOM / 2, _TOP + _HIGH + 28, "α", _MIDDLE))
    parts += _axes(right)
    low, high = shown_accuracies(curve, control)
    span = max(high - low, 1e-6)
    if math.isfinite(least):
        start = right + _ROOM * min(1.0, max(0.0, least - low) / span)
        parts.append(_shaded(start, _TOP, right + _ROOM - start, _HIGH))
    for points_of, ink, stroke, name in (
        (control, "var(--bar)", dashed, beside), (curve, "var(--red)", "", asr),
    ):  # fmt: skip
        places = [
            (right + _ROOM * (one.accuracy - low) / span, _height(one.asr))
            for one in points_of
            if one.accuracy >= low
        ]
        parts.append(_polyline(places, ink, stroke, name))
    for value in (low, low + span / 2, low + span):
        x = right + _ROOM * (value - low) / span
        parts.append(text_at(x, _TOP + _HIGH + 14, f"{value:.2f}", _MIDDLE))
    parts.append(text_at(right + _ROOM / 2, _TOP + _HIGH + 28, accuracy, _MIDDLE))
    parts += _legend(left, [(name, ink) for name, ink, _, _ in lines])
    parts += _legend(right, [(asr, "var(--red)"), (beside, "var(--bar)")])
    return drawing(_HEIGHT, parts, "α")


def _height(share: float) -> float:
    return _TOP + _HIGH * (1 - share)


def _axes(left: int) -> list[Markup]:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _height(share)
        parts.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}" stroke="currentColor" '
                'stroke-opacity="0.15"/>'
            ).format(left, left + _ROOM, y, y)
        )
        parts.append(text_at(left - 6, y + 4, f"{share:.0%}", 'text-anchor="end"'))
    return parts


def _shaded(x: float, y: float, width: float, height: float) -> Markup:
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="var(--accent)" '
        'fill-opacity="0.12"/>'
    ).format(x, y, width, height)


def _polyline(points: Sequence[tuple[float, float]], ink: str, stroke: str, name: str) -> Markup:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = Markup("").join(
        Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.5" fill="{}"/>').format(x, y, ink)
        for x, y in points
    )
    line = '<polyline points="{}" fill="none" stroke="{}" stroke-width="2" ' + stroke
    return Markup(line + "><title>{}</title></polyline>").format(path, ink, name) + dots


def _legend(left: int, entries: Sequence[tuple[str, str]]) -> list[Markup]:
    parts, y = [], _HEIGHT - 6
    for number, (name, ink) in enumerate(entries):
        x = left + number * _ROOM / len(entries)
        parts.append(
            Markup('<circle cx="{:.1f}" cy="{}" r="4" fill="{}"/>').format(x + 4, y - 4, ink)
        )
        parts.append(text_at(x + 12, y, name))
    return parts
