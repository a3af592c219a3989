"""A fleet that was run, from what it left, beside its simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.fleet.results import AUDITS, Results
from tools.scale.fleets import Fleet, Load
from tools.scale.simulation import simulate

_DRAWS = 200


@dataclass(frozen=True)
class MeasuredFleet:
    """Its audits in the order in which they began.

    Attributes:
        seconds: that each measured of itself, float64 (n,).
        began: when, float64 (n,), in seconds from the first.
        sizes: bytes of the models, float64 (n,).
    """

    seconds: NDArray[np.float64]
    began: NDArray[np.float64]
    sizes: NDArray[np.float64]

    @property
    def span(self) -> float:
        """From when the first audit began to when the last one ended."""
        return float((self.began + self.seconds).max())

    @property
    def load(self) -> Load:
        """The same models, to be simulated."""
        return Load(self.seconds, self.sizes)


def read_fleet(database: Path) -> MeasuredFleet:
    """What the rows and the audit files beside them say. An audit ended when its file was written;
    one without a file, when the one before it in the table did. Copies, which took no time, are
    left out. Raises `InputError` if there are no audits, or the file is not one of ours.
    """
    ends, seconds, sizes = [], [], []
    last = 0.0
    for _, row in Results(database.parent).rows():
        if row.file:
            last = (database.parent / AUDITS / row.file).stat().st_mtime
        if row.result.seconds > 0 and last:
            ends.append(last)
            seconds.append(row.result.seconds)
            sizes.append(float(row.stamp.size))
    if not ends:
        raise InputError("{path}: there are no audits in it", path=database)
    began = np.array(ends) - np.array(seconds)
    order = np.argsort(began, kind="stable")
    return MeasuredFleet(
        np.array(seconds)[order], (began - began.min())[order], np.array(sizes)[order]
    )


def compared(
    one: MeasuredFleet,
    fleet: Fleet,
    seed: int,
    other: MeasuredFleet | None = None,
    wall: float | None = None,
) -> dict[str, object]:
    """What was measured beside what the simulation says of the same audits in the same order
    ("replayed"), and of as many drawn from the times of ``other``, or else from its own ("drawn":
    mean, and between which 90% are). The time of the images is in the audits' own. ``wall`` is what
    the whole command took.
    """
    fleet = replace(fleet, images=0.0)
    replayed = simulate(one.load, fleet, seed)
    source = one if other is None else other
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        picked = rng.integers(len(source.seconds), size=len(one.seconds))
        load = Load(source.seconds[picked], source.sizes[picked])
        drawn.append(simulate(load, fleet, seed).span)
    low, high = np.quantile(drawn, [0.05, 0.95])
    total = float(one.seconds.sum())
    command: dict[str, object] = {}
    if wall is not None:
        error = replayed.makespan / wall - 1
        command = {"measured_seconds": wall, "replayed_seconds": replayed.makespan, "error": error}
    mean = float(np.mean(drawn))
    return {
        "audits": len(one.seconds),
        "measured": {
            "span_seconds": one.span, "audit_seconds": total,
            "utilization": total / (fleet.workers * one.span),
            "models_per_hour": 3600 * len(one.seconds) / one.span,
            "p95_audit_seconds": float(np.quantile(one.seconds, 0.95)),
        },
        "replayed": replayed.summary() | {"error": replayed.span / one.span - 1},
        "drawn": {
            "times_of": "itself" if other is None else "another fleet", "span_seconds": mean,
            "from": float(low), "to": float(high), "error": mean / one.span - 1,
        },
        "whole_command": command,
    }  # fmt: skip
