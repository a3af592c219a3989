"""A plane of weight-disentanglement errors as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from bdshift.purification.disentanglement import LARGEST_ERROR, Mixture
from bdshift.reports.svg import text_at

_SIDE, _LEFT, _TOP = 420, 60, 30
_MIDDLE, _END = 'text-anchor="middle"', 'text-anchor="end"'
_DARK = (8, 48, 107)
_MARKED = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0))
"""The audited model, the purified one, and the backdoor alone."""

AXES = "α_c, the clean task", "α_t, the trigger"
"""The words along the axes, in English."""


def draw_plane(mixtures: Sequence[Mixture], axes: tuple[str, str] = AXES) -> str:
    """A square for each point, the darker the larger ξ; a complete SVG file. The audited model is
    at (1, 1), the purified one at (1, 0). ``axes`` are the words along them.
    """
    axis = sorted({value for one in mixtures for value in one.place})
    cell = _SIDE / len(axis)
    parts = [
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" '
            'font-size="11"><rect width="100%" height="100%" fill="#ffffff"/>'
        ).format(_LEFT + _SIDE + 90, _TOP + _SIDE + 50)
    ]
    for one in mixtures:
        column, row = axis.index(one.alpha_clean), axis.index(one.alpha_trigger)
        x, y = _LEFT + column * cell, _TOP + (len(axis) - 1 - row) * cell
        marked = one.place in _MARKED
        parts.append(
            Markup(
                '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"{}>'
                "<title>α_c {:g}, α_t {:g}: ξ {:.2f}</title></rect>"
            ).format(
                x + marked, y + marked, cell - 2 * marked, cell - 2 * marked, _color(one.error),
                Markup(' stroke="#d55e00" stroke-width="2"' if marked else ""), one.alpha_clean,
                one.alpha_trigger, one.error,
            )
        )  # fmt: skip
    for number, value in enumerate(axis):
        middle = (number + 0.5) * cell
        parts.append(text_at(_LEFT + middle, _TOP + _SIDE + 16, f"{value:g}", _MIDDLE))
        parts.append(text_at(_LEFT - 6, _TOP + _SIDE - middle + 4, f"{value:g}", _END))
    parts.append(text_at(_LEFT + _SIDE / 2, _TOP + _SIDE + 36, axes[0], _MIDDLE))
    parts.append(text_at(_LEFT - 44, _TOP - 12, axes[1]))
    parts += _scale()
    return str(Markup("\n").join([*parts, Markup("</svg>")])) + "\n"


def _scale() -> list[Markup]:
    """What the shades stand for."""
    steps, left = 8, _LEFT + _SIDE + 20
    high = _SIDE / steps
    parts = [text_at(left, _TOP - 12, "ξ")]
    for step in range(steps):
        value = LARGEST_ERROR * (step + 0.5) / steps
        y = _TOP + _SIDE - (step + 1) * high
        parts.append(
            Markup('<rect x="{}" y="{:.1f}" width="18" height="{:.1f}" fill="{}"/>').format(
                left, y, high, _color(value)
            )
        )
        parts.append(text_at(left + 24, y + high / 2 + 4, f"{value:.2f}"))
    return parts


def _color(error: float) -> str:
    share = min(1.0, max(0.0, error / LARGEST_ERROR))
    return "#" + "".join(f"{round(255 + (end - 255) * share):02x}" for end in _DARK)
