"""The facts about a model under another preprocessing, or as another network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift.audit.facts import OtherReading, ReadingFacts
from bdshift.detect.detector import Evidence
from bdshift.images.preprocessing import Preprocessing
from bdshift.verdict.clean_models import CleanModels
from bdshift.verdict.decide import rare_by

if TYPE_CHECKING:
    from bdshift.audit.records import Alternative, Audit


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


def other_reading(other: Alternative, audit: Audit, table: CleanModels) -> OtherReading:
    """What the norms say of another network with the same weights: under the audit's rule, or,
    where that does not decide, beside the clean models of ``table``.
    """
    norms = audit.judged[0].detector
    if audit.verdict is None:
        suspected = norms.judge(other.scores, audit.settings.rule).suspected
    else:
        suspected = rare_by(norms, Evidence(norms.spec, other.scores), table)
    return OtherReading(other.architecture, other.accuracy, suspected)
