"""How often each rule flags a model that has nothing wrong with it."""

from __future__ import annotations

import numpy as np

from bdshift.detect.rule import RULES, Rule
from bdshift.jobs import JobContext

CLASS_COUNTS = (3, 5, 10, 20, 43, 100, 200, 1000)
_MAX_MODELS, _MIN_MODELS = 5000, 500  # drawn per number of classes
_MAX_VALUES = 500_000  # norms in total, unless _MIN_MODELS needs more


def false_alarms(classes: int, rule: Rule, models: int, seed: int = 0) -> float:
    """Share flagged of ``models`` models whose norms are independent normal values, N(8, 1)."""
    rng = np.random.default_rng([seed, classes])
    flagged = sum(bool(rule.flagged(rng.normal(8, 1, classes))) for _ in range(models))
    return flagged / models


def measure_false_alarms(job: JobContext) -> dict[int, dict[str, float]]:
    """The share flagged, by number of classes, then by rule."""
    found: dict[int, dict[str, float]] = {}
    for classes in CLASS_COUNTS:
        models = max(_MIN_MODELS, min(_MAX_MODELS, _MAX_VALUES // classes))
        job.note(
            "Judging {models:|drawn model|drawn models} of {classes} classes",
            models=models, classes=classes,
        )  # fmt: skip
        found[classes] = {
            kind.name: false_alarms(classes, kind(), models) for kind in RULES.kinds()
        }
    return found
