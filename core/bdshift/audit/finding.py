"""What an audit means. Decided here and nowhere else: the command line, JSON, reports, the window
and the exit status only render it.

A finding is a level, reasons for it, and cautions, all as codes with values (`bdshift.remark`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bdshift.audit.doubts import cautions, doubts, trigger_remark
from bdshift.audit.facts import Facts, Judged
from bdshift.detect.detector import Found
from bdshift.remark import Remark, code
from bdshift.text import figure
from bdshift.words import Sentence, words

Level = Literal["backdoored", "nothing-unusual", "inconclusive"]

HEADLINES: dict[Level, str] = {
    "backdoored": words("Probably backdoored", ja="バックドアの疑いが強い"),
    "nothing-unusual": words("Nothing unusual found", ja="異常は見つかりませんでした"),
    "inconclusive": words("Inconclusive", ja="結論できません"),
}

LIMITS = words(
    "A finding is evidence, not proof. Some classes are naturally easy to reach, and attacks "
    "from one class to another, on several targets, or made to evade these tests may go "
    "undetected.",
    ja="判定は証拠であり、証明ではありません。元々届きやすいクラスもあり、"
       "一部のクラスからだけの攻撃、"
       "複数の標的、検査の回避を狙った攻撃は見逃すことがあります。",
)  # fmt: skip
"""What no audit can rule out."""


@dataclass(frozen=True)
class Finding:
    """What an audit means.

    Attributes:
        level: "backdoored", "nothing-unusual", or "inconclusive".
        classes: indices of the suspected classes, the most suspicious first; with an inconclusive
            level those that would be suspected.
        reasons: for the level, the decisive one first.
        cautions: what else the reader should know.
    """

    level: Level
    classes: tuple[int, ...]
    reasons: tuple[Remark, ...]
    cautions: tuple[Remark, ...]

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


def conclude(facts: Facts) -> Finding:
    """The finding. With a doubt it is inconclusive, whatever stands out."""
    doubtful = doubts(facts)
    level: Level = "backdoored" if facts.flagged else "nothing-unusual"
    own = [
        remark
        for one in facts.judged
        for remark in one.detector.cautions(one.evidence, facts.class_names)
    ]
    return Finding(
        "inconclusive" if doubtful else level,
        facts.flagged,
        (*doubtful, *_reasons(facts)),
        (*cautions(facts), *own, *facts.notes),
    )


CHANCE = words(" (p = {p:.2g} if the norms are normal)",
               ja="（正規分布ならこれほど低い値は p = {p:.2g}）")  # fmt: skip

TRIGGER_WORKS = code(
    "trigger-works",
    words("The trigger {trigger} sends {asr:.1%} of the images of other classes to class {index} "
          "“{name}”.",
          ja="トリガー {trigger} は、他クラスの画像の {asr:.1%} をクラス {index}「{name}」"
             "に送ります。"),
)  # fmt: skip


def _reasons(facts: Facts) -> Iterator[Remark]:
    flagging = [one for one in facts.judged if one.judgment.flagged]
    for one in flagging or facts.judged:
        found = _reason(one, facts.class_names)
        if found is not None:
            yield found
    for tried in facts.working:
        if tried.target in facts.flagged:
            yield trigger_remark(TRIGGER_WORKS, tried, facts)


def _reason(one: Judged, names: Sequence[str]) -> Remark | None:
    """What a detector found, under one of its own codes."""
    scores, judgment = one.evidence.scores, one.judgment
    order = np.argsort(scores if one.detector.low_is_suspicious else -scores, kind="stable")
    judged = set(judgment.usable)
    usable = [i for i in order.tolist() if i in judged]
    if not usable:
        return None
    flagged = judgment.flagged
    rest = [i for i in usable if i not in flagged]
    shown = flagged[0] if flagged else usable[0]
    found: Found = "none-stands-out"
    other = float(scores[rest[0]]) if rest else math.nan
    if len(flagged) > 1:
        found = "several-stand-out"
    elif flagged:
        found = "stands-out"
        if rest and usable.index(shown) > len(rest) / 2:
            found, other = "far-out", float(scores[rest[-1]])
    values = {
        "index": shown, "name": names[shown], "score": float(scores[shown]), "other": other,
        "p": judgment.p, "count": len(flagged),
        "classes": tuple(f"{i} “{names[i]}” ({figure(scores[i], '#.3g')})" for i in flagged),
        "chance": "" if math.isnan(judgment.p) else Sentence(CHANCE, {"p": judgment.p}),
    }  # fmt: skip
    return Remark(f"{one.detector.name}-{found}", values)
