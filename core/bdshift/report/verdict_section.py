"""The section of the report's page that compares the evidence with that against clean models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from bdshift.audit.records import Audit
from bdshift.report.svg import text_at
from bdshift.text import figure
from bdshift.verdict.clean_models import Standing, shipped_table
from bdshift.verdict.decide import KindStanding, Verdict
from bdshift.words import Language, Sentence, translate, words

ALL_KINDS = words("all kinds together", ja="全種類の合計")
ONLY_ONE = words("the only one reached", ja="届く唯一のクラス")
TIMES = words("factor of {factor:#.3g}", ja="{factor:#.3g} 倍")
AS_MUCH = words("{count} of {models}", ja="{models} 個中 {count} 個")
DOTS = words(
    "A dot is a clean model, the diamond this one. Strength: how far beyond what three quarters of "
    "clean models stay below, in units of by how much the others exceed it.",
    ja="点はクリーンなモデル、ひし形はこのモデルです。強さは、クリーンなモデルの 4 分の 3 が"
       "収まる値をどれだけ超えるかを、残りのモデルの平均超過を単位として表します。",
)  # fmt: skip
_WIDTH, _LEFT, _ROW = 720, 190, 26
_LEAST_DRAWN, _MOST_DRAWN = -3.0, 12.0  # strengths


@dataclass(frozen=True)
class KindRow:
    """A line of the table: kind of evidence, class, its distance from the others, how many clean
    models have as much, and p.
    """

    kind: str
    name: str
    apart: str
    as_much: str
    p: str


@dataclass(frozen=True)
class VerdictPart:
    """The table, the drawing with its legend, and the clean models whose evidence is most alike."""

    rows: tuple[KindRow, ...]
    drawing: Markup
    legend: str
    similar: tuple[str, ...]


def verdict_part(audit: Audit, language: Language) -> VerdictPart | None:
    """The section; None if a rule decides."""
    verdict = audit.verdict
    if verdict is None:
        return None
    names, table = audit.images.class_names, shipped_table()
    every = KindRow(
        translate(ALL_KINDS, language), names[verdict.index], "",
        *_standing(verdict.standing, language),
    )  # fmt: skip
    strongest = {one.detector.name: float(one.strengths.max()) for one in verdict.kinds}
    return VerdictPart(
        (every, *(_row(one, audit, language) for one in verdict.kinds)),
        _drawing(verdict, language), translate(DOTS, language),
        tuple(f"{one.name} ({one.network})" for one in table.most_similar(strongest)),
    )  # fmt: skip


def _row(one: KindStanding, audit: Audit, language: Language) -> KindRow:
    names = audit.images.class_names
    name, apart = names[one.index] if one.reaches else "–", "–"
    if one.reaches and one.source >= 0:
        name = f"{names[one.source]} → {name}"
    if one.reaches_one:
        apart = translate(ONLY_ONE, language)
    elif one.reaches:
        apart = Sentence(TIMES, {"factor": one.factor(one.index)}).render(language)
    label = translate(one.detector.label, language)
    return KindRow(label, name, apart, *_standing(one.standing, language))


def _standing(standing: Standing, language: Language) -> tuple[str, str]:
    values = {"count": standing.count, "models": standing.models}
    return Sentence(AS_MUCH, values).render(language), figure(standing.p, ".2g")


def _drawing(verdict: Verdict, language: Language) -> Markup:
    kinds = [one.detector.name for one in verdict.kinds]
    largest = [float(one.strengths.max()) for one in verdict.kinds]
    labels = [translate(one.detector.label, language) for one in verdict.kinds]
    table = shipped_table()
    rows = [
        (translate(ALL_KINDS, language), table.null(kinds).strengths, max(largest)),
        *(
            (label, table.null([kind]).strengths, value)
            for label, kind, value in zip(labels, kinds, largest, strict=True)
        ),
    ]
    parts = [part for place, row in enumerate(rows) for part in _strip(place, *row)]
    high = len(rows) * _ROW + 18
    for strength in (-3, 0, 3, 6, 9, 12):
        label = f"{strength}+" if strength == _MOST_DRAWN else figure(strength, "d")
        parts.append(text_at(_at(strength), high - 2, label, 'text-anchor="middle"'))
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        _WIDTH, high, translate(ALL_KINDS, language)
    )
    return head + Markup("").join(parts) + Markup("</svg>")


def _strip(place: int, label: str, clean: NDArray[np.float64], own: float) -> Iterator[Markup]:
    y = place * _ROW + 14
    yield text_at(0, y + 4, label)
    yield Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" stroke="var(--line)"/>').format(
        _LEFT, _WIDTH - 12, y, y
    )
    for value in clean.tolist():
        yield Markup(
            '<circle cx="{:.1f}" cy="{}" r="3" fill="var(--bar)" fill-opacity="0.5"/>'
        ).format(_at(value), y)
    x = _at(own)
    yield Markup('<path d="M{:.1f} {}l6 6l-6 6l-6 -6z" fill="var(--red)"/>').format(x, y - 6)


def _at(strength: float) -> float:
    inside = min(max(strength, _LEAST_DRAWN), _MOST_DRAWN)
    room = _WIDTH - 12 - _LEFT
    return _LEFT + room * (inside - _LEAST_DRAWN) / (_MOST_DRAWN - _LEAST_DRAWN)
