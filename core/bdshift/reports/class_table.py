"""The table of classes of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bdshift.audit.records import Audit
from bdshift.detect.rule import RULES
from bdshift.text import figure

_MAX_CLASSES = 40  # shown


class ClassColumn(NamedTuple):
    """A column of the class table: its head, and what is in it, as templates."""

    head: str
    help: str


def class_columns(audit: Audit) -> list[ClassColumn]:
    """The columns of the class table: every detector's score, every rule's statistic."""
    first, *others = [
        ClassColumn(one.detector.score_label, one.detector.score_help) for one in audit.judged
    ]
    rules = [ClassColumn(rule.column, rule.column_help) for rule in RULES.kinds()]
    return [first, *rules, *others]


@dataclass(frozen=True)
class ClassRow:
    """A class: its name, a cell for each column, and whether it is suspected."""

    name: str
    cells: tuple[str, ...]
    flagged: bool


def class_rows(audit: Audit) -> list[ClassRow]:
    """The classes with the shortest shifts, as many as a page has room for, and all that are
    suspected.
    """
    first, *others = audit.judged
    statistics = first.judgment.statistics
    order = np.argsort(audit.shifts.l2, kind="stable")[:_MAX_CLASSES].tolist()
    order += [i for i in audit.finding.suspected if i not in order]
    return [
        ClassRow(
            audit.images.class_names[i],
            (
                figure(float(first.evidence.scores[i]), "#.3g"),
                *(figure(float(statistics[one.name][i]), one.form) for one in RULES.kinds()),
                *(figure(float(one.evidence.scores[i]), "#.3g") for one in others),
            ),
            i in audit.finding.suspected,
        )
        for i in order
    ]
