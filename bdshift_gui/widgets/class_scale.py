"""How the scores of classes are drawn: as they are, as z, or as their distance from the median."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bdshift.detect.rule import z_scores
from bdshift_gui.i18n import tr

if TYPE_CHECKING:
    from bdshift.audit.facts import Judged


@dataclass(frozen=True)
class ClassScale:
    """What is drawn of each class, float64 (C,), and where the line is; NaN for none.

    Attributes:
        unit, short_unit: of the axis, the second where there is little room.
        form: of a value.
        dots: whether values are dots, because zero is nothing that bars could stand on.
        suspicious_above: whether the line is passed upward.
    """

    values: NDArray[np.float64]
    line: float
    unit: str
    short_unit: str
    form: str
    dots: bool
    suspicious_above: bool


def scale_of(judged: Judged, how: str) -> ClassScale:
    """The scores of a detector: ``how`` is "score", "z" or "median"."""
    scores, detector = judged.evidence.scores, judged.detector
    low = detector.low_is_suspicious
    line = judged.judgment.line if low else -judged.judgment.line
    usable = scores[np.isfinite(scores)]
    if how == "z":
        sigma = float(usable.std()) if len(usable) else 0.0
        line = (line - float(usable.mean())) / sigma if sigma else math.nan
        return ClassScale(z_scores(scores), line, "z", "z", "#.3g", False, not low)
    if how == "median":
        middle = float(np.median(usable)) if len(usable) else math.nan
        unit = tr("% below the median") if low else tr("% above the median")
        with np.errstate(invalid="ignore"):
            away = _percent_from(scores, middle, low)
        return ClassScale(
            away, float(_percent_from(np.array(line), middle, low)), unit, "%", ".0f", True, True
        )
    if line < 0 <= float(np.nanmin(scores, initial=0.0)):
        line = math.nan  # below the axis, where its label would be cut in half
    return ClassScale(
        scores, line, tr(detector.unit), tr(detector.score_label), "#.3g", False, not low
    )


def _percent_from(scores: NDArray[np.float64], middle: float, low: bool) -> NDArray[np.float64]:
    """How far below the median scores are, or above it, in percent of it; NaN if it is 0."""
    if not middle:
        return np.full(scores.shape, math.nan)
    share: NDArray[np.float64] = 100 * (scores / middle - 1)
    return -share if low else share
