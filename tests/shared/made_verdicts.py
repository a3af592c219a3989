"""Clean models and evidence that are made up, for the verdict."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bdshift.detect.detector import DETECTORS, Detector, Evidence
from bdshift.detect.pair_inversion import PairInversion
from bdshift.verdict.clean_models import CleanModel, CleanModels, fit_table

TEXTS = {"shift": "shift:alpha=0.1,solver=exact", "mask": "mask", "additive": "additive"}


def clean(name: str, cluster: str = "", **drops: float) -> CleanModel:
    found = {kind: (drop, 10) for kind, drop in drops.items()}
    return CleanModel(name, cluster or name, "cnn", 10, found)


def spread_table() -> CleanModels:
    """Sixty clean models, whose drops are spread evenly up to 0.3, 1 and 0.5."""
    models = [
        clean(f"m{i}", shift=0.3 * i / 60, mask=i / 60, additive=0.5 * (60 - i) / 60)
        for i in range(60)
    ]
    return fit_table(models, TEXTS)


def evidence(**lowest: Mapping[int, float]) -> list[tuple[Detector, Evidence]]:
    """Scores of ten classes: 100, or 1 where they are ratios, but divided by the given factors."""
    found = []
    for name, factors in lowest.items():
        detector = DETECTORS.parse(name)
        scores = np.full(10, 1.0 if isinstance(detector, PairInversion) else 100.0)
        for index, factor in factors.items():
            scores[index] /= factor
        found.append((detector, Evidence(detector.spec, scores)))
    return found
