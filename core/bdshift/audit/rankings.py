"""Neuron rankings from the purifications of an audit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.records import Audit
from bdshift.purification import METHODS


def method_rankings(audit: Audit, target: int) -> dict[str, NDArray[np.float64]]:
    """How suspicious each method found the audited model's neurons, float64 (d,), higher is more
    suspicious, by method name; of several purifications by one method, the last. Purifications for
    another class are left out, and so are methods that rank by the shift.
    """
    results = (one.result for one in audit.purifications)
    return {
        one.name: one.ranking.astype(np.float64)
        for one in results
        if one.target == target
        and one.ranking is not None
        and not (one.name in METHODS and METHODS[one.name].ranks_by_shift)
    }
