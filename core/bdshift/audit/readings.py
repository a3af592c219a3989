"""The facts about a model under another preprocessing, from its audit there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift.audit.facts import ReadingFacts
from bdshift.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from bdshift.audit.records import Audit


def reading_of(preprocessing: Preprocessing) -> str:
    """A preprocessing, in a few words."""
    return f"{preprocessing.normalization.name}, {preprocessing.order.upper()}"


def reading_facts(audit: Audit) -> ReadingFacts:
    """The facts about an audit under another preprocessing."""
    first = audit.judged[0]
    return ReadingFacts(
        reading_of(audit.preprocessing), audit.accuracy, audit.is_searched, audit.facts.evident,
        audit.finding.classes,
        first.detector.judge(first.evidence.scores, audit.settings.rule).suspected,
    )  # fmt: skip
