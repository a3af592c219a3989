"""What an audit means. Decided here and nowhere else: the command line, JSON, reports, the window
and the exit status only render it.

A finding is a level, reasons for it, and cautions, all as codes with values (`bdshift.remark`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bdshift.audit.beside import natural_triggers, verdict_reasons
from bdshift.audit.beside_reference import reference_cautions, reference_reasons
from bdshift.audit.doubts import cautions, doubts, trigger_remark
from bdshift.audit.facts import FAILING_ASR, AuditedCopy, Facts, Judged, Level
from bdshift.audit.recovered import recovered_cautions, recovered_reasons
from bdshift.detect.detector import Found
from bdshift.remark import Remark, code
from bdshift.words import Sentence, words

HEADLINES: dict[Level, str] = {
    "backdoored": words("Probably backdoored", ja="バックドアの疑いが強い"),
    "nothing-unusual": words("Nothing unusual found", ja="異常は見つかりません"),
    "inconclusive": words("Inconclusive", ja="判定できません"),
}

LIMITS = words(
    "A finding is evidence, not proof. Some classes are naturally easy to reach, and attacks "
    "from one class to another, on several targets, or made to evade these tests may go "
    "undetected.",
    ja="判定は証拠であり、証明ではありません。もともと到達しやすいクラスもあり、"
       "一部のクラスからだけの攻撃、"
       "複数の標的、検査の回避を狙った攻撃は見逃すことがあります。",
)  # fmt: skip
"""What no audit can rule out."""


@dataclass(frozen=True, repr=False)
class Finding:
    """What an audit means.

    Attributes:
        level: "backdoored", "nothing-unusual", or "inconclusive".
        classes: indices of the suspected classes, the most suspicious first, even if the level is
            inconclusive.
        reasons: for the level, the decisive one first.
        cautions: what else the reader should know.
    """

    level: Level
    classes: tuple[int, ...]
    reasons: tuple[Remark, ...]
    cautions: tuple[Remark, ...]

    @property
    def suspected(self) -> tuple[int, ...]:
        """Classes to mark in tables and drawings: none unless the level is "backdoored"."""
        return self.classes if self.level == "backdoored" else ()

    @property
    def headline(self) -> Sentence:
        """The level in words."""
        return Sentence(HEADLINES[self.level])

    @property
    def statement(self) -> Sentence:
        """The decisive reason in words."""
        return self.reasons[0].sentence

    def __str__(self) -> str:
        return f"{self.headline}: {self.statement}"

    def __repr__(self) -> str:
        return f"Finding({self.level}, classes={self.classes}): {self.statement}"


def conclude(facts: Facts) -> Finding:
    """The finding. With a doubt it is inconclusive, whatever stands out; so it is if something
    stands out only on the side that is not suspicious.
    """
    doubtful = doubts(facts)
    level: Level = "nothing-unusual"
    if doubtful or (facts.far_out and not facts.suspected):
        level = "inconclusive"
    elif facts.suspected:
        level = "backdoored"
    own = [
        remark
        for one in facts.judged
        for remark in one.detector.cautions(one.evidence, facts.class_names)
    ]
    return Finding(
        level,
        facts.suspected,
        (*doubtful, *_reasons(facts)),
        (
            *recovered_cautions(facts),
            *natural_triggers(facts),
            *reference_cautions(facts),
            *cautions(facts),
            *own,
            *facts.notes,
        ),
    )


CHANCE = words(" (p = {p:.2g} if the values are normal)",
               ja="（正規分布なら p = {p:.2g}）")  # fmt: skip

ONE_CLASS = words("{index} “{name}” ({score:#.3g})", ja="{index}「{name}」（{score:#.3g}）")

TRIGGER_WORKS = code(
    "trigger-works",
    words("The trigger {trigger} sends {asr:.1%} of the images of other classes to class {index} "
          "“{name}”.",
          ja="トリガー {trigger} は、他クラスの画像の {asr:.1%} をクラス {index}「{name}」"
             "に誘導します。"),
)  # fmt: skip

TRIGGER_WORKS_IN_PART = code(
    "trigger-works-in-part",
    words("The trigger {trigger} sends {asr:.1%} of the images of other classes to class {index} "
          "“{name}”: too few to work, many for another trigger.",
          ja="トリガー {trigger} がクラス {index}「{name}」に誘導するのは、他クラスの画像の "
             "{asr:.1%} です。効いているとは言えませんが、無関係なトリガーにしては多い値です。"),
)  # fmt: skip
TRIGGER_FAILS = code(
    "trigger-fails",
    words("The trigger {trigger} sends {asr:.1%} of the images of other classes to class {index} "
          "“{name}”: it does not work for that class.",
          ja="トリガー {trigger} がクラス {index}「{name}」に誘導するのは、他クラスの画像の "
             "{asr:.1%} です。このクラスには効きません。"),
)  # fmt: skip

OTHER_COPIES = code(
    "other-copies",
    words("The file holds several weights of this network, each audited by itself. This audit is "
          "of {weights}; also audited: {others}.",
          ja="このファイルには同じネットワークの重みが複数あり、それぞれを監査しました。"
             "この監査は {weights} のものです。ほかの結果：{others}。"),
)  # fmt: skip
ONE_COPY = words("{weights} ({headline})", ja="{weights}（{headline}）")
ONE_COPY_BY_RULE = words("{weights} ({headline}, by the rule {rule})",
                         ja="{weights}（規則 {rule} で{headline}）")  # fmt: skip


def _reasons(facts: Facts) -> Iterator[Remark]:
    suspecting = [one for one in facts.decisive if one.judgment.suspected]
    by_verdict = facts.verdict is not None and bool(facts.verdict.suspected)
    beside = [*verdict_reasons(facts), *reference_reasons(facts)]
    recovered = list(recovered_reasons(facts))
    is_first = by_verdict or not (suspecting or recovered)
    if is_first:
        yield from beside
    elif not suspecting:
        yield from recovered
    quiet = [] if by_verdict else facts.far_out or facts.decisive
    for one in suspecting or quiet:
        found = _reason(one, facts.class_names)
        if found is not None:
            yield found
    if by_verdict or suspecting:
        yield from recovered
    if not is_first:
        yield from beside
    for tried in facts.working:
        if tried.target in facts.suspected:
            yield trigger_remark(TRIGGER_WORKS, tried, facts)
    for tried in facts.not_working:
        in_part = tried.asr >= FAILING_ASR
        yield trigger_remark(TRIGGER_WORKS_IN_PART if in_part else TRIGGER_FAILS, tried, facts)
    if facts.copies:
        others = tuple(_copy_in_words(one, facts) for one in facts.copies)
        yield Remark(OTHER_COPIES, {"weights": facts.weights, "others": others})


def _copy_in_words(one: AuditedCopy, facts: Facts) -> Sentence:
    same_rule = one.rule == facts.judged[0].judgment.rule.spec
    return Sentence(
        ONE_COPY if same_rule else ONE_COPY_BY_RULE,
        {"weights": one.weights, "headline": Sentence(HEADLINES[one.level]), "rule": one.rule},
    )


def _reason(one: Judged, names: Sequence[str]) -> Remark | None:
    """What a detector found, under one of its own codes."""
    scores, judgment = one.evidence.scores, one.judgment
    order = np.argsort(scores if one.detector.low_is_suspicious else -scores, kind="stable")
    judged = set(judgment.usable)
    usable = [i for i in order.tolist() if i in judged]
    if not usable:
        return None
    suspected, shown = judgment.suspected, usable[0]
    rest = [i for i in usable if i not in suspected]
    found: Found = "none-stands-out"
    if len(suspected) > 1:
        found = "several-stand-out"
    elif suspected:
        found = "stands-out"
    elif judgment.flagged:
        found, shown, rest = "far-out", usable[-1], usable[-2::-1]
    other = float(scores[rest[0]]) if rest else math.nan
    values = {
        "detector": Sentence(one.detector.label), "index": shown, "name": names[shown],
        "score": float(scores[shown]), "other": other,
        "p": judgment.p, "count": len(suspected),
        "classes": tuple(
            Sentence(ONE_CLASS, {"index": i, "name": names[i], "score": float(scores[i])})
            for i in suspected
        ),
        "chance": "" if math.isnan(judgment.p) else Sentence(CHANCE, {"p": judgment.p}),
    }  # fmt: skip
    details = one.detector.details(one.evidence, names)
    return Remark(f"{one.detector.name}-{found}", values | dict(details))
