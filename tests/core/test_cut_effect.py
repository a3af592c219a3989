"""What cutting neurons means for a trigger that works."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bdshift.audit import Audit
from bdshift.audit.cut_effect import effect_of_cut
from bdshift.detect.rule import judge
from bdshift.neurons.what_if import CutOutcome

FLAGGED = [4.0 if i == 9 else 10 + i / 100 for i in range(12)]
EVEN = [10 + i / 100 for i in range(12)]
REMAINS = "The trigger still works."
HIDDEN = "The trigger still works: this cut only hides it from the scan."


@pytest.mark.parametrize(
    ("before", "after", "norms", "accuracy", "said"),
    [
        (1.0, 0.9, FLAGGED, 0.98, REMAINS),
        (1.0, 0.9, EVEN, 0.98, HIDDEN),
        (1.0, 0.9, EVEN, 0.2, REMAINS),  # inconclusive: the scan found nothing that could be hidden
        (1.0, 0.5, EVEN, 0.98, None),
        (1.0, 0.05, EVEN, 0.98, "The trigger stops working."),
        (0.9, 0.75, FLAGGED, 0.98, REMAINS),
        (0.0, 0.0, FLAGGED, 0.98, None),
        (0.7, 0.7, FLAGGED, 0.98, None),  # it did not work before
        (0.05, 0.01, EVEN, 0.98, None),
        (1.0, None, EVEN, 0.98, None),
    ],
)
def test_the_effect_of_a_cut(
    measured_audit: Audit,
    before: float,
    after: float | None,
    norms: list[float],
    accuracy: float,
    said: str | None,
) -> None:
    nothing = np.zeros((0, 12), np.float32)
    outcome = CutOutcome((3,), accuracy, np.ones(12), after, None, nothing, nothing.copy())
    audit = replace(measured_audit, accuracy=accuracy)
    found = effect_of_cut(audit, replace(audit.tac[0], asr=before), outcome, judge(norms))
    assert (None if found is None else str(found)) == said
