"""The searches for a change taken together, as `bdshift recover` does: the largest drop of each
class under any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bdshift.changes import CHANGES
from bdshift.lab.detection import DetectionRow
from bdshift.recovery.drop import drops, ranks
from bdshift.spec import split_spec


def best_of(rows: Iterable[DetectionRow]) -> list[DetectionRow]:
    """A row for each model and seed, as if one detector had searched for every kind of change that
    was searched for in all of them; none if those are fewer than two kinds. Seconds and images are
    sums.
    """
    models: dict[tuple[str, str], dict[str, DetectionRow]] = {}
    for row in rows:
        name = split_spec(row.detector)[0]
        if name in CHANGES and not row.error:
            models.setdefault((row.model, row.seed), {})[name] = row
    common = [name for name in CHANGES if all(name in one for one in models.values())]
    if len(common) < 2:
        return []
    return [_joined([one[name] for name in common]) for one in models.values()]


def _joined(rows: list[DetectionRow]) -> DetectionRow:
    each = [drops(np.array([float(one) for one in row.scores.split(";")])) for row in rows]
    found = np.max(np.nan_to_num(each, nan=-np.inf), axis=0)
    place, top = ranks(found), int(np.argmax(found))
    targets = [int(one) for one in rows[0].targets.split(";") if one]
    return replace(
        rows[0],
        detector=" ".join(split_spec(row.detector)[0] for row in rows),
        score="", scores="", pairs="",
        drop=";".join(f"{found[one]:.4g}" for one in targets),
        place=";".join(str(place[one]) for one in targets),
        top=str(top),
        top_drop=f"{found[top]:.4g}",
        seconds=f"{sum(float(row.seconds) for row in rows):.2f}",
        forwards=str(sum(int(row.forwards) for row in rows)),
        backwards=str(sum(int(row.backwards) for row in rows)),
    )  # fmt: skip
