"""Which evidence a finding rests on, so that a drawing can begin with it."""

from __future__ import annotations

import math

from bdshift.audit.beside import COULD_NOT_TELL
from bdshift.audit.facts import Judged
from bdshift.audit.records import Audit
from bdshift.words import Sentence, words

RESTS_ON_THIS = words(
    "The finding rests on this evidence.",
    ja="判定の根拠となった証拠です。",
)
RESTS_ON_OTHER = words(
    "The finding rests on other evidence: {detector}.",
    ja="判定の根拠は別の証拠です：{detector}",
)


def deciding(audit: Audit) -> Judged | None:
    """The evidence that speaks loudest against the class that the finding is about: against a
    suspect, or one that is too unusual beside clean models to pass over. None if no evidence does,
    or only a recovered trigger.
    """
    verdict = audit.verdict
    if verdict is not None and verdict.suspected:
        return _strongest(audit, verdict.suspected[0])
    for one in audit.judged:
        if one.judgment.suspected:
            return one
    return None if verdict is None or not verdict.is_unusual else _strongest(audit, verdict.index)


def _strongest(audit: Audit, index: int) -> Judged:
    assert audit.verdict is not None
    kind = max(audit.verdict.kinds, key=lambda one: float(one.strengths[index]))
    return next(one for one in audit.judged if one.detector == kind.detector)


def rests_on(audit: Audit, shown: Judged) -> Sentence | None:
    """Whether the finding rests on ``shown``, of the same audit, or else on what; None if there is
    nothing to tell apart, or a doubt decides.
    """
    finding, decides = audit.finding, deciding(audit)
    doubtful = finding.level == "inconclusive" and finding.reasons[0].code != COULD_NOT_TELL
    if doubtful or decides is None or len(audit.judged) == 1:
        return None
    if decides is shown:
        return Sentence(RESTS_ON_THIS)
    return Sentence(RESTS_ON_OTHER, {"detector": Sentence(decides.detector.label)})


def deciding_p(audit: Audit) -> float:
    """Of the model beside clean models, if that comparison decides; else the smallest of the
    evidence that was judged, or that suspects something. NaN if nothing is concluded, or a
    recovered trigger decides.
    """
    verdict, level = audit.verdict, audit.finding.level
    if level == "inconclusive":
        return math.nan
    judged = audit.judged
    if verdict is not None:
        if verdict.suspected or level == "nothing-unusual":
            return verdict.standing.p
        judged = tuple(one for one in judged if one.judgment.suspected)
    known = [one.judgment.p for one in judged if not math.isnan(one.judgment.p)]
    return min(known, default=math.nan)
