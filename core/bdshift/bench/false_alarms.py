"""How often each rule flags a model in which nothing is wrong."""

from __future__ import annotations

import numpy as np

from bdshift.jobs import JobContext
from bdshift.shift.verdict import RULES, judge

CLASS_COUNTS = (3, 5, 10, 20, 43, 100, 200, 1000)
_MODELS, _FEWEST = 5000, 500  # models drawn for a count of classes
_VALUES = 500_000  # and no more norms than that, above the fewest


def false_alarms(classes: int, rule: str, models: int, seed: int = 0) -> float:
    """Share of ``models`` flagged whose norms are independent normal values, N(8, 1)."""
    rng = np.random.default_rng([seed, classes])
    names = [str(i) for i in range(classes)]
    flagged = sum(
        judge(rng.normal(8, 1, classes), names, rule=rule).suspicious for _ in range(models)
    )
    return flagged / models


def measure_false_alarms(job: JobContext) -> dict[int, dict[str, float]]:
    """The share flagged, by number of classes, then by rule."""
    found: dict[int, dict[str, float]] = {}
    for classes in CLASS_COUNTS:
        models = max(_FEWEST, min(_MODELS, _VALUES // classes))
        job.note(f"judging {models} drawn models of {classes} classes")
        found[classes] = {rule: false_alarms(classes, rule, models) for rule in RULES}
    return found
