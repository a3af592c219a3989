"""The rows of a fleet as they are shown: judged together, the most suspicious first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bdshift.fleet.kin import families
from bdshift.fleet.ranking import first_to_look_at, q_values
from bdshift.fleet.results import Results, Row


@dataclass(frozen=True)
class Ranked:
    """A row among the others.

    Attributes:
        row: the row.
        q: share of false alarms to expect among all models whose q is no larger; NaN without p.
        family: number of the models that come from one base, from 0; −1 if it is the only one.
    """

    row: Row
    q: float
    family: int


def ranked(rows: Sequence[Row]) -> list[Ranked]:
    """The newest row of each model, in the order in which to look at them."""
    newest = list({row.model: row for row in rows}.values())
    results = [row.result for row in newest]
    q = q_values([one.p for one in results])
    family = families([one.architecture for one in results], [one.sketch for one in results])
    shared = {one: at for at, one in enumerate(np.flatnonzero(np.bincount(family) > 1).tolist())}
    return [
        Ranked(newest[at], float(q[at]), shared.get(int(family[at]), -1))
        for at in first_to_look_at(results)
    ]


class Collected:
    """The rows of a growing file, ranked; only what is new is read again."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._rows: dict[str, Row] = {}
        self._last = 0

    def refresh(self) -> list[Ranked] | None:
        """All rows, as `ranked`; None if nothing has changed since the last call. Raises as
        `Results.rows`.
        """
        found = self._results.rows(self._last)
        if not found:
            return None
        self._last = found[-1][0]
        self._rows |= {row.model: row for _, row in found}
        return ranked(list(self._rows.values()))
