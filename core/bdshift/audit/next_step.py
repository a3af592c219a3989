"""What to do after an audit: the one step that tells most, or helps most."""

from __future__ import annotations

from typing import Literal

from bdshift.audit.beside import COULD_NOT_TELL
from bdshift.audit.doubts import CLASSES_IN_DOUBT
from bdshift.audit.facts import WORKING_ASR
from bdshift.audit.records import Audit
from bdshift.words import words

Step = Literal["classes", "search", "recover", "purify", "compare", "report"]

WHY: dict[Step, str] = {
    "classes": words("Next: say which class is which.",
                     ja="次：クラスの対応を指定します。"),
    "search": words("Next: search the images for triggers, and compare with clean models.",
                    ja="次：画像でトリガーを探索し、クリーンなモデルと比較します。"),
    "recover": words("Next: recover the trigger, to see what the model reacts to.",
                     ja="次：トリガーを復元し、モデルが何に反応するかを確かめます。"),
    "purify": words("Next: remove the backdoor from a copy of the model.",
                    ja="次：モデルのコピーからバックドアを取り除きます。"),
    "compare": words("Next: compare the purified model with the original.",
                     ja="次：浄化したモデルを元のモデルと比較します。"),
    "report": words("Next: write a report.", ja="次：レポートを書き出します。"),
}  # fmt: skip
"""Each step in words."""


def next_step(audit: Audit) -> Step:
    """The next step of an audit. Which class is which, if that is in doubt. Where a class is
    suspected: its trigger, then a purified model (if there are labels to purify it with), then what
    that has changed. Else the search, if it has not run, a trigger of the class that may be one,
    then the report.
    """
    if any(one.code in CLASSES_IN_DOUBT for one in audit.finding.reasons):
        return "classes"
    suspected = audit.finding.suspected
    if not suspected:
        if _recovery_may_settle(audit):
            return "recover"
        asked = audit.settings
        tried = audit.is_searched or bool(asked.search)  # the network may be too large
        can = audit.embedding is not None and not asked.decides_by_rule
        return "search" if can and not tried else "report"
    target = suspected[0]
    if any(one.result.target == target for one in audit.purifications):
        return "compare"
    works = any(one.target == target and one.asr >= WORKING_ASR for one in audit.tac)
    known = works or any(one.target == target for one in audit.recoveries)
    if not known:
        return "recover"
    return "purify" if audit.images.labeled else "report"


def _recovery_may_settle(audit: Audit) -> bool:
    """Whether the evidence is between the two, and no trigger of the class was searched for."""
    verdict, finding = audit.verdict, audit.finding
    if verdict is None or finding.reasons[0].code != COULD_NOT_TELL:
        return False
    return all(one.target != verdict.index for one in audit.recoveries)
