"""The evidence of an audit beside that of clean models, as rows that the report's page and the
window show, and how right p is, in a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.records import Audit
from bdshift.detect.detector import Evidence
from bdshift.detect.inversion import InvertedChanges
from bdshift.text import figure
from bdshift.verdict.calibration import ROUND_LEVELS, Calibration, count_up_to
from bdshift.verdict.clean_models import Standing, shipped_table
from bdshift.verdict.counted import NATURAL_SHARE, natural_of
from bdshift.verdict.decide import Verdict
from bdshift.verdict.kind_found import KindFound
from bdshift.words import Language, Sentence, translate, words

HEADS: tuple[tuple[str, str], ...] = (
    (words("evidence", ja="証拠"), ""),
    ("class",
     words("The class that stands lowest by this kind.", ja="この証拠で最も疑わしいクラス。")),
    (words("against the others", ja="他との差"),
     words("How many times smaller than for the median of the other classes; for a pair of "
           "classes, than to other classes and than the other way.",
           ja="他クラスの中央値に比べて何分の 1 か。クラスの組では、他クラスへの変化と"
              "逆方向の変化に比べて。")),
    (words("on unused images", ja="未使用の画像"),
     words("Share of images of other classes, or of the source of a pair, that the change sends "
           "there; the search did not use them.",
           ja="探索に使わなかった他クラスの画像（クラスの組ではソースクラスの画像）のうち、"
              "変化がこのクラスへ誘導する割合。")),
    (words("on its own images", ja="自クラスの画像"),
     words("Share of the class's own clean images that look as if the change had been made to "
           "them. From {share:.0%} on it does not count.",
           ja="このクラスのクリーン画像のうち、変化が既に加わったように見える割合。"
              "{share:.0%} 以上なら証拠に数えません。")),
    (words("clean models with as much", ja="同程度のモデル"),
     words("Of those that were measured in the same way.",
           ja="同じ方法で測定したクリーンなモデルのうち。")),
    ("p",
     words("Share of clean models with as much or more, this model counted among them and related "
           "ones as one. Where fewer than five have as much, it is estimated from how the "
           "strengths of the strongest quarter fall off.",
           ja="このモデルを含め、同程度以上の証拠があるクリーンなモデルの割合。"
              "関連するモデルは合わせて 1 個と数えます。同程度以上が 5 個未満なら、"
              "上位 4 分の 1 の強さの減り方から推定します。")),
)  # fmt: skip
"""Head and explanation of each column."""
ALL_KINDS = words("all kinds together", ja="全種類の総合")
ONLY_ONE = words("the only one reached", ja="唯一到達したクラス")
TIMES = words("factor of {factor:#.3g}", ja="{factor:#.3g} 倍")
TIMES_AND_REFERENCE = words("factor of {factor:#.3g}, {of_reference:#.3g} in the reference",
                            ja="{factor:#.3g} 倍、参照モデルでは {of_reference:#.3g} 倍"
                            )  # fmt: skip
AS_MUCH = words("{count} of {models}", ja="{models} 個中 {count} 個")
NOT_COUNTED = words("{name}: {share:.0%}, not counted", ja="{name}：{share:.0%}（数えません）")
DOTS = words(
    "A dot is a clean model, the diamond this one. Strength: how far a model is beyond three "
    "quarters of the clean ones, in units of how far the other quarter is beyond them on average.",
    ja="点はクリーンなモデル、ひし形はこのモデルです。強さは、クリーンなモデルの 4 分の 3 が"
       "収まる値をどれだけ超えるかを、残りのモデルの平均超過を単位として表します。",
)  # fmt: skip
SIMILAR = words("{name} ({network}, {classes:|class|classes})",
                ja="{name}（{network}、{classes} クラス）")  # fmt: skip
LEFT_OUT = words(
    "Of {models:|clean model|clean models} that {models:~|was|were} left out of "
    "the table in turn, {few} ({few_share:.0%}) got p ≤ {low:g} and {some} ({some_share:.0%}) got "
    "p ≤ {high:g}; if p is right, about {low:.0%} and {high:.0%} do.",
    ja="順に表から除いたクリーンなモデル {models} 個のうち、p ≤ {low:g} は "
       "{few} 個（{few_share:.0%}）、p ≤ {high:g} は {some} 個（{some_share:.0%}）でした。"
       "p が正しければ、およそ {low:.0%} と {high:.0%} になります。",
)  # fmt: skip
HELD_OUT = words(
    "Of {models:|other|others} that {models:~|was|were} never in it: {few} and {some}.",
    ja="表に一度も入っていない別の {models} 個では {few} 個と {some} 個です。",
)
TICKS = -3.0, 0.0, 3.0, 6.0, 9.0, 12.0
"""Of the axis of strengths."""
DRAWN = TICKS[0], TICKS[-1]
"""Strengths that are drawn where they are; those beyond are drawn at the ends."""
AXIS_SHARE = words("clean models with at most this p", ja="p がこれ以下のクリーンなモデル")
CURVES = {
    "left_out": words("left out in turn", ja="順に除いたモデル"),
    "held_out": words("never in the table", ja="表にないモデル"),
    "right": words("if p is right", ja="p が正しい場合"),
    "own": words("p of this model", ja="このモデルの p"),
}
"""What the calibration's curves are."""


@dataclass(frozen=True)
class EvidenceRow:
    """One kind of evidence, or all kinds together.

    Attributes:
        cells: a text for each of `HEADS`.
        clean: strengths of the clean models that it is compared with, (n,); none of a witness.
        own: that of this model; NaN then.
    """

    cells: tuple[str, ...]
    clean: NDArray[np.float64]
    own: float

    @property
    def is_compared(self) -> bool:
        """Whether there are clean models to draw it beside."""
        return len(self.clean) > 0


def evidence_rows(audit: Audit, verdict: Verdict, language: Language) -> tuple[EvidenceRow, ...]:
    """All kinds together, then each, the strongest first, and witnesses."""
    names, table = audit.images.class_names, shipped_table()
    found = {one.name: one for one in audit.evidence}
    largest = [float(one.strengths.max()) for one in verdict.kinds]
    kinds = [one.detector.name for one in verdict.kinds]
    every = EvidenceRow(
        (translate(ALL_KINDS, language), names[verdict.index], "–", "–", "–",
         *_standing(verdict.standing, language)),
        table.null(kinds).strengths, max(largest),
    )  # fmt: skip
    rows = (
        EvidenceRow(
            (*_cells(one, found[kind], names, language), *_standing(one.standing, language)),
            table.null([kind]).strengths,
            strength,
        )
        for one, kind, strength in zip(verdict.kinds, kinds, largest, strict=True)
    )
    witnesses = (
        EvidenceRow(
            (*_cells(one, found[one.detector.name], names, language), "–", "–"),
            np.empty(0), math.nan,
        )
        for one in verdict.witnesses
    )  # fmt: skip
    return every, *rows, *witnesses


def similar_models(verdict: Verdict, language: Language) -> tuple[str, ...]:
    """The clean models whose evidence is most like the model's."""
    strongest = {one.detector.name: float(one.strengths.max()) for one in verdict.kinds}
    return tuple(
        Sentence(SIMILAR, {"name": one.name, "network": one.network, "classes": one.classes})
        .render(language)
        for one in shipped_table().most_similar(strongest)
    )  # fmt: skip


def heads(language: Language) -> tuple[tuple[str, str], ...]:
    """`HEADS` in a language."""
    values = {"share": NATURAL_SHARE}
    return tuple((translate(a, language), Sentence(b, values).render(language)) for a, b in HEADS)


def how_right(known: Calibration, language: Language) -> str:
    """What a calibration says, in a sentence or two; "" if nothing was measured."""
    low, high = ROUND_LEVELS
    parts = []
    for template, values in (LEFT_OUT, known.left_out), (HELD_OUT, known.held_out):
        if values:
            few, some = (count_up_to(values, one) for one in ROUND_LEVELS)
            count = len(values)
            said = {"models": count, "few": few, "some": some, "low": low, "high": high,
                    "few_share": few / count, "some_share": some / count}  # fmt: skip
            parts.append(Sentence(template, said).render(language))
    return ("" if language == "ja" else " ").join(parts)


def _cells(
    one: KindFound, evidence: Evidence, names: Sequence[str], language: Language
) -> tuple[str, ...]:
    name = apart = works = natural = "–"
    shown = one.reaches and not one.has_no_pair
    if shown:
        name = names[one.index] if one.source < 0 else f"{names[one.source]} → {names[one.index]}"
        apart = Sentence(TIMES, {"factor": one.factor(one.index)}).render(language)
        record = evidence.record
        works = _share(record.asr if isinstance(record, InvertedChanges) else None, one.index)
        natural = _share(natural_of(evidence), one.index)
    if shown and one.explained[one.index] > 0:
        values = {"factor": one.factor(one.index), "of_reference": one.of_reference(one.index)}
        apart = Sentence(TIMES_AND_REFERENCE, values).render(language)
    elif one.reaches_one:
        apart = translate(ONLY_ONE, language)
    left = [
        Sentence(NOT_COUNTED, {"name": names[index], "share": share}).render(language)
        for index, share in one.natural
    ]
    natural = "\n".join([*(() if natural == "–" and left else (natural,)), *left])
    label = translate(one.detector.label, language)
    return label, name, apart, works, natural


def _share(values: NDArray[np.float64] | None, index: int) -> str:
    return "–" if values is None or np.isnan(values[index]) else f"{values[index]:.0%}"


def _standing(standing: Standing, language: Language) -> tuple[str, str]:
    values = {"count": standing.count, "models": standing.models}
    return Sentence(AS_MUCH, values).render(language), figure(standing.p, ".2g")
