"""What a simulated fleet is given, and what comes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["done", "timed-out", "crashed"]

CAUSES = (
    "auditing", "images", "forking", "download", "start", "timed out", "lost audits", "down",
    "driver", "nothing left",
)  # fmt: skip
"""What the time of a worker goes to: audits that end, decoding the images, forking, fetching
models, starting, audits that ran into their limit or were lost with their worker, being away,
waiting for the driver, and waiting for the last of the others.
"""


@dataclass(frozen=True)
class Load:
    """The models of a list, in its order.

    Attributes:
        seconds: that an audit computes, float64 (n,).
        sizes: bytes of the files, float64 (n,).
    """

    seconds: NDArray[np.float64]
    sizes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True)
class Fleet:
    """How a fleet runs. Times are in seconds, rates in bytes per second.

    Attributes:
        workers: audits at a time, of all shards together.
        engine: "local", one host for all workers of a shard, or "ray", a host for each.
        shards: parts of the list, each with its own driver and its share of the workers.
        before: until a driver has been started, and begins.
        start: until a host has imported everything.
        images: that an audit takes longer whose host has not decoded the images yet.
        fork: that an audit takes beside what it measures itself.
        dispatch: of the driver, for each model, beside hashing it.
        hashing: rate at which the driver hashes files; without end at addresses.
        row: of the driver, for each result.
        ahead: tasks that a driver has given away at most, for each worker.
        limit: of one audit.
        bandwidth: of one worker's downloads.
        store: of all downloads together.
        lost_every: mean life of a host.
        restart: until a lost host is started again.
        killed_every: mean life of a driver.
        resume: until a killed driver is started again.
        known: of a resumed driver, for each model that has its result already.
    """

    workers: int
    engine: Literal["local", "ray"] = "local"
    shards: int = 1
    before: float = 0.0
    start: float = 0.0
    images: float = 0.0
    fork: float = 0.0
    dispatch: float = 0.0
    hashing: float = math.inf
    row: float = 0.0
    ahead: int = 2
    limit: float = 3600.0
    bandwidth: float = math.inf
    store: float = math.inf
    lost_every: float = math.inf
    restart: float = 60.0
    killed_every: float = math.inf
    resume: float = 60.0
    known: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= self.workers or self.workers % self.shards:
            raise ValueError("each shard has the same number of workers, at least one")
        if min(self.bandwidth, self.store, self.hashing, self.lost_every, self.killed_every) <= 0:
            raise ValueError("rates and lives are above 0")


@dataclass
class Outcome:
    """What came of it. Times are in seconds from the start.

    Attributes:
        makespan: until the last row.
        began: when the last audit of each model began to compute, float64 (n,).
        ended: when the driver got its result, float64 (n,).
        written: when its row was written, float64 (n,).
        status: of each model.
        audits: that were begun, those that were lost among them.
        spent: seconds of all workers together by cause (`CAUSES`).
        busy: seconds of all drivers together that they were not waiting.
        fetched: bytes from the store.
        losses, kills: hosts that were lost, drivers that were killed.
    """

    makespan: float
    began: NDArray[np.float64]
    ended: NDArray[np.float64]
    written: NDArray[np.float64]
    status: list[Status]
    workers: int
    shards: int
    audits: int = 0
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0.0))
    busy: float = 0.0
    fetched: float = 0.0
    losses: int = 0
    kills: int = 0

    @property
    def span(self) -> float:
        """From when the first audit begins to when the last one ends."""
        return float(self.ended.max() - np.nanmin(self.began))

    def summary(self) -> dict[str, float]:
        """The numbers that matter, by name."""
        capacity = self.workers * self.makespan
        return {
            "makespan_seconds": self.makespan,
            "span_seconds": self.span,
            "models_per_hour": 3600 * len(self.written) / self.makespan,
            "utilization": self.spent["auditing"] / capacity,
            "driver_busy": self.busy / (self.shards * self.makespan),
            "store_bytes_per_second": self.fetched / self.makespan,
            "half_done_seconds": float(np.quantile(self.written, 0.5)),
            "p95_done_seconds": float(np.quantile(self.written, 0.95)),
            "p95_audit_seconds": float(np.quantile(self.ended - self.began, 0.95)),
            "audits": self.audits,
            "timed_out": self.status.count("timed-out"),
            "crashed": self.status.count("crashed"),
            "lost_hosts": self.losses,
            "killed_drivers": self.kills,
        } | {f"share_{cause.replace(' ', '_')}": self.spent[cause] / capacity for cause in CAUSES}
