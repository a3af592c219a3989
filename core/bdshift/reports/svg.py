"""The drawings of norms and neurons in a report, as inline SVG."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bdshift.assets import asset
from bdshift.text import figure, one_line

_WIDTH, _BARS, _POINTS = 720, 220, 340
_ROW = 22  # pixels of a line in a drawing of sizes
_MAX_NAMES = 24  # with more bars than this, none has a name
_LEFT, _FOOT, _TOP = 44, 40, 14


def drawing(height: int, parts: Sequence[Markup], title: str) -> Markup:
    """A drawing as wide as the page, in the colors of its style sheet."""
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        _WIDTH, height, title
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def as_file(drawn: Markup) -> str:
    """A drawing as a file of its own, in the colors of the page, on white."""
    page = asset("report/report.html").read_text("utf-8")
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", page))
    text = re.sub(r"var\(--(\w+)\)", lambda found: colors[found[1]], str(drawn))
    head = '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11" '
    text = text.replace("<svg ", head, 1)
    return text.replace(">", '><rect width="100%" height="100%" fill="#ffffff"/>', 1) + "\n"


def text_at(x: float, y: float, words: str, more: str = "") -> Markup:
    """Text at a place; ``more`` are attributes."""
    form = Markup('<text x="{:.1f}" y="{:.1f}" ' + more + ">{}</text>")
    return form.format(x, y, one_line(words))


def draw_bars(
    norms: NDArray[np.float64],
    names: Sequence[str],
    flagged: Collection[int],
    line: float,
    line_words: str,
) -> Markup:
    """One bar per class; the dashed line is the decision, left out if it is not finite."""
    names = list(map(one_line, names))
    finite = norms[np.isfinite(norms)]
    top = 1.15 * float(finite.max(initial=1e-12))
    room, high = _WIDTH - _LEFT - 8, _BARS - _FOOT - _TOP
    step = room / len(norms)
    parts = []
    if np.isfinite(line) and 0 < line < top:
        y = _TOP + high * (1 - line / top)
        parts.append(
            Markup(
                '<line x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}" stroke="var(--red)" '
                'stroke-dasharray="5 4"/>'
            ).format(_LEFT, _WIDTH - 8, y, y)
        )
        parts.append(text_at(2, y + 4, line_words))
    for i, norm in enumerate(norms.tolist()):
        if not np.isfinite(norm):
            continue
        x, tall = _LEFT + i * step, high * norm / top
        fill = "var(--red)" if i in flagged else "var(--bar)"
        parts.append(
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}">'
                "<title>{}: {}</title></rect>"
            ).format(
                x + 0.15 * step, _TOP + high - tall, max(0.7 * step, 0.6), tall, fill, names[i],
                figure(norm),
            )
        )  # fmt: skip
        if len(norms) <= _MAX_NAMES:
            middle = x + step / 2
            anchor = 'text-anchor="middle"'
            parts.append(text_at(middle, _TOP + high - tall - 4, figure(norm, "#.3g"), anchor))
            room_for = max(3, int(step / 6.5))
            name = names[i] if len(names[i]) <= room_for else names[i][: room_for - 1] + "…"
            parts.append(text_at(middle, _TOP + high + 16, name, anchor))
    return drawing(_BARS, parts, "L2")


def draw_scatter(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    chosen: Collection[int],
    x_words: str,
    y_words: str,
    *,
    flagged: bool,
) -> Markup:
    """One point per neuron, the chosen ones as filled diamonds."""
    room, high = _WIDTH - _LEFT - 16, _POINTS - _FOOT - _TOP
    spans = []
    for values in (x, y):
        low, top = float(np.nanmin(values)), float(np.nanmax(values))
        gap = 0.04 * (top - low) or 0.5
        spans.append((low - gap, top + gap))
    (x0, x1), (y0, y1) = spans
    px = _LEFT + room * (x - x0) / (x1 - x0)
    py = _TOP + high * (1 - (y - y0) / (y1 - y0))
    ink = "var(--red)" if flagged else "var(--text)"
    parts = []
    for k in range(len(x)):
        a, b = float(px[k]), float(py[k])
        if k in chosen:
            shape = Markup('<path d="M{:.1f} {:.1f}l5 5l-5 5l-5 -5z" fill="{}">').format(
                a, b - 5, ink
            )
            end = Markup("</path>")
        else:
            shape = Markup(
                '<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="var(--accent)" fill-opacity="0.45">'
            ).format(a, b)
            end = Markup("</circle>")
        parts.append(shape + Markup("<title>{}</title>").format(k) + end)
    for words, at in ((figure(x0 + 0, ".2g"), _LEFT), (figure(x1, ".2g"), _WIDTH - 40)):
        parts.append(text_at(at, _POINTS - 24, words))
    for words, level in ((figure(y1, ".2g"), _TOP + 8), (figure(y0, ".2g"), _TOP + high)):
        parts.append(text_at(14, level, words))
    parts.append(text_at(_LEFT + room / 2, _POINTS - 8, x_words, 'text-anchor="middle"'))
    turn = f'transform="rotate(-90 12 {_TOP + high / 2:.0f})" text-anchor="middle"'
    parts.append(text_at(12, _TOP + high / 2, y_words, turn))
    return drawing(_POINTS, parts, one_line(y_words))


def draw_sizes(
    rows: Sequence[tuple[str, Sequence[float]]], unit: str, unreached_words: str
) -> Markup:
    """One line per class from its smallest size to its largest, with a mark at each size, on a
    logarithmic axis; the first class is the one in question. A size that is infinite is at the
    right edge.
    """
    finite = [size for _, sizes in rows for size in sizes if np.isfinite(size)]
    low, top = np.log10([min(finite), max(finite)]) if finite else (0.0, 1.0)
    low, top = low - 0.1 * max(top - low, 0.1), top + 0.1 * max(top - low, 0.1)
    left, right = 190, _WIDTH - 90
    parts = []

    def place(size: float) -> float:
        if not np.isfinite(size):
            return float(right + 20)
        return float(left + (right - left) * (np.log10(size) - low) / (top - low))

    for number, (name, sizes) in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        ink = "var(--text)" if number else "var(--red)"
        parts.append(text_at(2, y + 4, name if len(name) < 28 else name[:27] + "…"))
        parts.append(
            Markup(
                '<line x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}" stroke="{}"/>'
            ).format(place(sizes[0]), place(sizes[-1]), y, y, ink)
        )  # fmt: skip
        for size in sizes:
            shape = '<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}"><title>{}</title></circle>'
            parts.append(Markup(shape).format(place(size), y, ink, figure(size, ".3g")))
        if not np.isfinite(sizes[-1]):
            parts.append(text_at(right + 28, y + 4, unreached_words))
    foot = _TOP + _ROW * len(rows) + 16
    middle = 'text-anchor="middle"'
    ends = (min(finite), max(finite)) if finite else ()
    parts += [text_at(place(size), foot, figure(size, ".3g"), middle) for size in ends]
    parts.append(text_at((left + right) / 2, foot + 16, unit, middle))
    return drawing(foot + 24, parts, one_line(unit))
