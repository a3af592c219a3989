"""What counts of a kind of evidence: drops, but for classes that a change goes with by nature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bdshift.detect.detector import Detector, Evidence
from bdshift.detect.inversion import InvertedChanges

NATURAL_SHARE = 0.2
"""Of a class's own clean images, from where on a change that they carry already is no evidence: no
attacker put it there. It was chosen, not fitted.
"""


def natural_of(evidence: Evidence) -> NDArray[np.float64] | None:
    """Share of each class's own images that look as if the change had been made to them, float64
    (C,), NaN where that was not looked at; None if the evidence has no such shares.
    """
    record = evidence.record
    return record.natural if isinstance(record, InvertedChanges) else None


def counted_drops(detector: Detector, evidence: Evidence) -> NDArray[np.float64]:
    """The drop of each class, float64 (C,); NaN for classes of which nothing is known, and for
    those whose own images carry the change.
    """
    found = detector.drops(evidence)
    natural = natural_of(evidence)
    if natural is not None:
        found[natural >= NATURAL_SHARE] = np.nan
    return found
