"""What a reference, a model of the same task that is known to be clean, explains of another model's
drops: as much as the same classes have there, measured in the same way.

The difference is never larger than the drop itself, so a clean model is suspected no more often
than the table of clean models says.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bdshift.detect.detector import Detector, Evidence
from bdshift.verdict.strength import Drops, capped

Explained = Mapping[str, NDArray[np.float64]]
"""By name of the detector, what a reference has of every class, float64 (C,), from 0."""


def explained_drops(detector: Detector, evidence: Evidence) -> NDArray[np.float64]:
    """What a reference's evidence explains of every class, float64 (C,): its drop as it is weighed,
    and 0 where that is not known. Classes that a change goes with by nature count, too: that is
    what a reference is asked about.
    """
    return capped(detector.drops(evidence))


def beyond(found: Drops, explained: NDArray[np.float64]) -> Drops:
    """Drops (C,) less what is explained of them; drops that are not above 0 stay as they are."""
    return np.where((found > 0) & (explained > 0), capped(found) - explained, found)
