"""Lines and dots on axes, several panels per figure, written as SVG without a drawing library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's palette; dashes distinguish colors that are used twice."""

_WIDTH, _HEIGHT, _GAP = 300, 220, 46


@dataclass(frozen=True)
class Panel:
    """Axes with a title, lines and points in their units.

    Attributes:
        title, x, y: labels.
        lines: name and points (x, y) of each; all panels of a figure name the same ones.
        points: (x, y) of each dot.
        span: range of both axes; None for that of the data and a little more.
    """

    title: str
    x: str
    y: str
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]] = ()
    points: Sequence[tuple[float, float]] = ()
    span: tuple[float, float] | None = None


def draw(panels: Sequence[Panel]) -> str:
    """Panels side by side, two per row, and a legend below them: a complete SVG file."""
    names = list(dict.fromkeys(name for panel in panels for name, _ in panel.lines))
    columns = min(2, len(panels))
    high = (len(panels) + 1) // 2 * (_HEIGHT + _GAP)
    wide = columns * (_WIDTH + _GAP)
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" '
            'font-size="11"><rect width="100%" height="100%" fill="#ffffff"/>'
        ).format(wide, high + 18 * ((len(names) + 3) // 4) + 8)
    ]
    for number, panel in enumerate(panels):
        left = number % 2 * (_WIDTH + _GAP) + _GAP
        top = number // 2 * (_HEIGHT + _GAP) + 24
        parts += _panel(panel, names, left, top)
    for number, name in enumerate(names):
        x, y = _GAP + number % 4 * (wide - _GAP) / 4, high + 14 + 18 * (number // 4)
        parts.append(
            Markup('<path d="M{:.1f} {:.1f}h22" {}/><text x="{:.1f}" y="{:.1f}">{}</text>').format(
                x, y - 4, _stroke(number), x + 28, y, name
            )
        )
    return str(Markup("\n").join([*parts, Markup("</svg>")])) + "\n"


def _stroke(number: int) -> Markup:
    dash = ' stroke-dasharray="5 3"' if number >= len(_COLORS) else ""
    return Markup('fill="none" stroke-width="1.6" stroke="{}"' + dash).format(
        _COLORS[number % len(_COLORS)]
    )


def _panel(panel: Panel, names: Sequence[str], left: float, top: float) -> Iterator[Markup]:
    everything = [*panel.points, *(point for _, line in panel.lines for point in line)]
    wide, high = _WIDTH - 16, _HEIGHT - 24
    spans = [panel.span] * 2 if panel.span else []
    for axis in () if panel.span else (0, 1):
        values = [point[axis] for point in everything] or [0.0]
        reach = max(values) - min(values)
        gap = 0.03 * reach * bool(panel.points) if reach else 0.5  # dots are not cut in half
        spans.append((min(values) - gap, max(values) + gap))
    (x0, x1), (y0, y1) = spans

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return (
            left + wide * (point[0] - x0) / (x1 - x0),
            top + high * (1 - (point[1] - y0) / (y1 - y0)),
        )

    yield Markup('<text x="{}" y="{}" font-weight="bold">{}</text>').format(
        left, top - 8, panel.title
    )
    yield Markup('<path d="M{} {}v{}h{}" fill="none" stroke="#888888"/>').format(
        left, top, high, wide
    )
    for x, y, words, anchor in (
        (left, top + high + 14, f"{x0:.3g}", "start"),
        (left + wide, top + high + 14, f"{x1:.3g}", "end"),
        (left + wide / 2, top + high + 14, panel.x, "middle"),
        (left - 4, top + high, f"{y0:.3g}", "end"),
        (left - 4, top + 9, f"{y1:.3g}", "end"),
    ):
        yield Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
            x, y, anchor, words
        )
    yield Markup(
        '<text transform="translate({:.1f} {:.1f}) rotate(-90)" text-anchor="middle">{}</text>'
    ).format(left - 8, top + high / 2, panel.y)
    for name, line in panel.lines:
        path = "M" + "L".join("{:.1f} {:.1f}".format(*at(point)) for point in line)
        yield Markup('<path d="{}" {}/>').format(path, _stroke(names.index(name)))
    for point in panel.points:
        yield Markup(
            '<circle cx="{:.1f}" cy="{:.1f}" r="2.5" fill="#0072b2" fill-opacity="0.5"/>'
        ).format(*at(point))
