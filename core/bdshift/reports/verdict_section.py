"""The section of the report's page that compares the evidence with that against clean models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bdshift.audit.records import Audit
from bdshift.reports.svg import text_at
from bdshift.reports.verdict_rows import (
    ALL_KINDS,
    AXIS_SHARE,
    CURVES,
    DOTS,
    DRAWN,
    TICKS,
    EvidenceRow,
    evidence_rows,
    heads,
    how_right,
    similar_models,
)
from bdshift.text import figure
from bdshift.verdict.calibration import Calibration, share_curve
from bdshift.verdict.clean_models import shipped_table
from bdshift.words import Language, translate

_WIDTH, _LEFT, _ROW = 720, 190, 26
_SQUARE, _CORNER = 200, 44  # of the calibration


@dataclass(frozen=True)
class VerdictPart:
    """The table, the drawing with its legend, the clean models whose evidence is most alike, and
    how right p is, as a sentence and a drawing.
    """

    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    drawing: Markup
    legend: str
    similar: tuple[str, ...]
    how_right: str
    calibration: Markup


def verdict_part(audit: Audit, language: Language) -> VerdictPart | None:
    """The section; None if a rule decides."""
    verdict = audit.verdict
    if verdict is None:
        return None
    rows, known = evidence_rows(audit, verdict, language), shipped_table().calibration
    return VerdictPart(
        heads(language), tuple(one.cells for one in rows),
        _drawing([one for one in rows if one.is_compared], language),
        translate(DOTS, language), similar_models(verdict, language), how_right(known, language),
        draw_calibration(known, verdict.standing.p, language),
    )  # fmt: skip


def _drawing(rows: Sequence[EvidenceRow], language: Language) -> Markup:
    parts = [part for place, row in enumerate(rows) for part in _strip(place, row)]
    high = len(rows) * _ROW + 18
    for strength in TICKS:
        label = f"{strength:g}+" if strength == DRAWN[1] else figure(int(strength), "d")
        parts.append(text_at(_at(strength), high - 2, label, 'text-anchor="middle"'))
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        _WIDTH, high, translate(ALL_KINDS, language)
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _strip(place: int, row: EvidenceRow) -> Iterator[Markup]:
    y = place * _ROW + 14
    yield text_at(0, y + 4, row.cells[0])
    yield Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="var(--line)"/>').format(
        _LEFT, _WIDTH - 12, y, y
    )
    for value in row.clean.tolist():
        yield Markup(
            '<circle cx="{:.1f}" cy="{}" r="3" fill="var(--bar)" fill-opacity="0.5"/>'
        ).format(_at(value), y)
    x = _at(row.own)
    yield Markup('<path d="M{:.1f} {}l6 6l-6 6l-6 -6z" fill="var(--red)"/>').format(x, y - 6)


def _at(strength: float) -> float:
    low, high = DRAWN
    inside = min(max(strength, low), high)
    room = _WIDTH - 12 - _LEFT
    return _LEFT + room * (inside - low) / (high - low)


def draw_calibration(known: Calibration, own: float, language: Language) -> Markup:
    """The share of clean models with a p of at most x, for each x, and the p of this model."""
    lines = [("right", [(0.0, 0.0), (1.0, 1.0)], 'stroke="var(--bar)"')]
    strokes = (
        'stroke="var(--accent)" stroke-width="2"',
        'stroke="var(--muted)" stroke-width="2" stroke-dasharray="5 3"',
    )
    for key, stroke in zip(("left_out", "held_out"), strokes, strict=True):
        if values := getattr(known, key):
            lines.append((key, share_curve(values), stroke))
    lines.append(("own", [(own, 0.0), (own, 1.0)], 'stroke="var(--red)"'))
    parts = []
    for place, (key, points, stroke) in enumerate(lines):
        path = "M" + "L".join(
            f"{_CORNER + _SQUARE * x:.1f} {8 + _SQUARE * (1 - y):.1f}" for x, y in points
        )
        form = Markup('<path d="{}" fill="none" ' + stroke + "/>")
        left, y = _CORNER + _SQUARE + 32, 24 + 20 * place
        parts += [form.format(path), form.format(f"M{left} {y - 4}h24")]
        parts.append(text_at(left + 32, y, translate(CURVES[key], language)))
    foot = 8 + _SQUARE
    for share in (0, 0.5, 1):
        end, middle = 'text-anchor="end"', 'text-anchor="middle"'
        parts.append(text_at(_CORNER - 6, 12 + _SQUARE * (1 - share), f"{share:.0%}", end))
        parts.append(text_at(_CORNER + _SQUARE * share, foot + 14, f"{share:g}", middle))
    axes = Markup('<path d="M{} 8v{}h{}" fill="none" stroke="var(--muted)"/>')
    parts.append(axes.format(_CORNER, _SQUARE, _SQUARE))
    middle = 'text-anchor="middle"'
    parts.append(text_at(_CORNER + _SQUARE / 2, foot + 30, "p", middle))
    label = translate(AXIS_SHARE, language)
    parts.append(text_at(_CORNER + _SQUARE + 32, foot, "↑ " + label))
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        _WIDTH, foot + 36, label
    )
    return head + Markup("").join(parts) + Markup("</svg>")
