"""What the chart of the classes shows, in a few words, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bdshift.detect.rule import RULES
from bdshift.text import figure
from bdshift_gui.i18n import say, tr
from bdshift_gui.widgets.table_rows import Column

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.facts import Judged


def title_of(audit: Audit, judged: Judged, suspected: Sequence[int]) -> str:
    """What the scores of a detector show, which suspects the classes ``suspected``; of an
    inconclusive audit only their range.
    """
    from bdshift.audit.elsewhere import suspected_elsewhere

    detector, scores = judged.detector, judged.evidence.scores
    if audit.finding.level == "inconclusive":
        usable = scores[np.isfinite(scores)]
        if not len(usable):
            return ""
        low, high = (figure(float(one), "#.3g") for one in (usable.min(), usable.max()))
        label = tr(detector.score_label)
        return tr("{score} from {low} to {high}", score=label, low=low, high=high)
    if len(suspected) > 1:
        return tr("{count:|class stands|classes stand} out", count=len(suspected))
    if (elsewhere := suspected_elsewhere(audit, judged)) is not None:
        return say(elsewhere)
    if not suspected:
        return tr("None of the {count:|class|classes} stands out", count=len(scores))
    name = audit.images.class_names[suspected[0]]
    order = np.argsort(scores if detector.low_is_suspicious else -scores, kind="stable")
    first, *others = [i for i in order.tolist() if np.isfinite(scores[i])]
    if suspected[0] != first or not others:
        return tr("“{name}” stands out", name=name)
    small, large = sorted(float(scores[i]) for i in (first, others[0]))
    return tr(detector.short, name=name, less=1 - small / large if large else 0.0)


def score_columns(audit: Audit) -> list[Column]:
    """Index and name of each class, its score by each detector, and every rule's statistic."""
    names = audit.images.class_names
    first, *others = audit.judged
    scores = [
        Column(f"score-{place}-{one.detector.name}", tr(one.detector.score_label),
               one.evidence.scores, tip=tr(one.detector.score_help))
        for place, one in enumerate((first, *others))
    ]  # fmt: skip
    rules = [
        Column(f"rule-{kind.name}", tr(kind.column), first.judgment.statistics[kind.name],
               tip=tr(kind.column_help))
        for kind in RULES.kinds()
    ]  # fmt: skip
    return [
        Column("index", "", np.arange(len(names))), Column("class", tr("class"), texts=names),
        scores[0], *rules, *scores[1:],
    ]  # fmt: skip
