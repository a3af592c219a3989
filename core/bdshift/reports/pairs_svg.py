"""The map of all pairs of classes, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bdshift.reports.svg import text_at
from bdshift.text import figure, one_line

MAX_DRAWN = 43
"""Classes of the largest map that is drawn: with more, a cell has no room."""

_WIDTH, _NAMES = 720, 110
_MAX_SIDE, _MAX_NAME = 44, 16
_STRONG = 0.8  # of the strongest entry: the fullest color


def draw_pairs(
    pairs: NDArray[np.float64], names: Sequence[str], arrow: str, *, low_is_suspicious: bool
) -> Markup:
    """A square for every source (row) and target (column): red where its score (C, C) is on the
    suspicious side of 0, blue on the other, the fuller the farther; empty where it is not known.
    ``arrow`` says what is read along which side.
    """
    names = list(map(one_line, names))
    side = min(_MAX_SIDE, (_WIDTH - _NAMES) / len(names))
    known = np.abs(pairs[np.isfinite(pairs)])
    full = _STRONG * float(known.max(initial=0)) or 1.0
    parts = [text_at(0, 12, arrow)]
    for i, name in enumerate(names):
        at = _NAMES + (i + 0.5) * side
        parts.append(text_at(_NAMES - 6, at + 4, _short(name), 'text-anchor="end"'))
        turn = f'transform="rotate(-60 {at:.1f} {_NAMES - 6})"'
        parts.append(text_at(at, _NAMES - 6, _short(name), turn))
        for j, other in enumerate(names):
            score = float(pairs[i, j])
            if not np.isfinite(score):
                continue
            red = (score < 0) == low_is_suspicious
            parts.append(
                Markup(
                    '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}" '
                    'fill-opacity="{:.2f}"><title>{} → {}: {}</title></rect>'
                ).format(
                    _NAMES + j * side, _NAMES + i * side, 0.94 * side, 0.94 * side,
                    "var(--red)" if red else "var(--accent)", min(1.0, abs(score) / full), name,
                    other, figure(score, "#.3g"),
                )
            )  # fmt: skip
    head = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">').format(
        _WIDTH, _NAMES + len(names) * side + 4, arrow
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
