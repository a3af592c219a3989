"""What the purifications of an audit said of its neurons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.records import Audit
from bdshift.purify import ShiftTuning


def method_rankings(audit: Audit, target: int) -> dict[str, NDArray[np.float64]]:
    """How suspicious each method found the audited model's neurons, float64 (d,), higher is more,
    by the method's name; of several runs of a method the last. Those toward another class are left
    out, and shift tuning, whose ranking is the shift.
    """
    runs = (cleaned.run for cleaned in audit.runs)
    return {
        run.name: run.ranking.astype(np.float64)
        for run in runs
        if run.target == target and run.ranking is not None and run.name != ShiftTuning.name
    }
