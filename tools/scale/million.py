"""A million checkpoints on many GPUs: what is assumed, and the scenarios that are simulated."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.scale.costs import CLASSES, SMALL, CountedNetwork, SearchCost
from tools.scale.fleets import Fleet, Load
from tools.scale.simulation import simulate

IMAGES = 2500
"""Of a scan, by default."""

# What follows is assumed, not measured.
GPU_FLOPS = 40e12
"""Per second, sustained, forward and back, of one GPU."""
GPU_AUDIT_SECONDS = 6.0
"""Beside the network's work: a context on the GPU, reading the file, the solve, the audit file."""
GPU_DOLLARS, CORE_DOLLARS, STORED_DOLLARS = 2.5, 0.05, 0.023
"""An hour of a GPU and of a core, a month of a gigabyte."""
SPREAD = 0.4
"""Deviation of the logarithm of an audit's time: models of one size differ, and so do machines."""
QUERY_SECONDS = 0.02
"""Of one question to a store at an address; the driver asks two for each model."""
BANDWIDTH, STORE = 0.5e9, 10e9
"""Bytes per second that a worker fetches, and that the store gives to all."""
LOST_EVERY = 24 * 3600.0
"""Mean life of a worker, where it can be taken away."""
SHARES = {
    SMALL: 0.15, "EfficientNet-B0": 0.2, "ResNet-50": 0.4, "ResNet-152": 0.1, "ViT-L/16": 0.1,
    "ConvNeXt-L": 0.05,
}  # fmt: skip
"""Of each network among the million."""


@dataclass(frozen=True)
class Scenario:
    """A million models, audited in one way.

    Attributes:
        name: what is special about it.
        gpus: workers, one audit at a time each.
        shards: drivers.
        searches: whether the images are searched, by all kinds.
        addresses: whether models are at addresses, or on a shared file system, where the driver
            hashes them.
        lost: whether workers are taken away.
        killed: whether drivers are killed, once a day.
        store: bytes per second.
    """

    name: str
    gpus: int
    shards: int
    searches: bool = False
    addresses: bool = True
    lost: bool = False
    killed: bool = False
    store: float = STORE


SCENARIOS = (
    Scenario("norms, one driver, shared files", 100, 1, addresses=False),
    Scenario("norms, one driver", 100, 1),
    Scenario("norms, one driver", 1000, 1),
    Scenario("norms, 50 shards", 1000, 50),
    Scenario("norms, 50 shards, a store five times as fast", 1000, 50, store=5 * STORE),
    Scenario("searches, one driver", 1000, 1, searches=True),
    Scenario("searches, 10 shards, workers and drivers lost", 1000, 10, searches=True, lost=True,
             killed=True),
)  # fmt: skip


def fleet_of(measured: Mapping[str, Any], workers: int, **more: Any) -> Fleet:
    """A fleet with what was measured of its processes and its driver, whose bookkeeping grows with
    the workers of its shard.
    """
    driver, processes = measured["driver"], measured["processes"]
    few, many = driver["model_1_workers"], driver["model_1000_workers"]
    here = workers / more.get("shards", 1)
    model = few + max(0.0, many - few) * here / 1000
    fleet = Fleet(
        workers, before=processes["command"], start=processes["host"],
        images=IMAGES * processes["decoded_image"], fork=processes["fork"],
        dispatch=max(0.0, model - driver["row"]), row=driver["row"],
        hashing=driver["hashed_bytes_per_second"], known=driver["known_model"],
    )  # fmt: skip
    return replace(fleet, **more)


def forward_images(measured: Mapping[str, Any]) -> float:
    """Images that the measured scan sent forward for each one of its sample: those of the
    preprocessings that it tried are among them.
    """
    audit = measured["audit"]
    return float(audit["flops"] / audit["images"] / audit["image_flops"])


def search_flops(one: CountedNetwork, searches: Sequence[SearchCost]) -> float:
    """FLOPs of all searches, for `CLASSES` classes."""
    forward = sum(search.forward(CLASSES) for search in searches)
    backward = sum(search.backward(CLASSES) for search in searches)
    return forward * one.forward + backward * one.backward


def gpu_seconds(flops: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of audits with so many."""
    return GPU_AUDIT_SECONDS + flops / GPU_FLOPS


def million(
    scenario: Scenario,
    networks: Sequence[CountedNetwork],
    searches: Sequence[SearchCost],
    measured: Mapping[str, Any],
    passes: float,
    models: int,
    seed: int,
) -> dict[str, object]:
    """Simulate a scenario with ``models`` models. ``passes`` as `forward_images`."""
    rng = np.random.default_rng(seed)
    picked = rng.choice(len(networks), models, p=[SHARES[one.name] for one in networks])
    flops = np.array([
        passes * IMAGES * one.forward + scenario.searches * search_flops(one, searches)
        for one in networks
    ])  # fmt: skip
    middle = gpu_seconds(flops)
    seconds = middle[picked] * rng.lognormal(-(SPREAD**2) / 2, SPREAD, models)
    sizes = np.array([float(one.bytes) for one in networks])[picked]
    fleet = fleet_of(
        measured, scenario.gpus, engine="ray", shards=scenario.shards, store=scenario.store,
        bandwidth=BANDWIDTH, limit=24 * 3600.0,
    )  # fmt: skip
    if scenario.addresses:
        fleet = replace(
            fleet, hashing=float("inf"), dispatch=fleet.dispatch + 2 * QUERY_SECONDS,
            known=fleet.known + QUERY_SECONDS,
        )  # fmt: skip
    if scenario.lost:
        fleet = replace(fleet, lost_every=LOST_EVERY)
    if scenario.killed:
        fleet = replace(fleet, killed_every=24 * 3600.0)
    found = simulate(Load(seconds, sizes), fleet, seed).summary()
    dollars = scenario.gpus * found["makespan_seconds"] / 3600 * GPU_DOLLARS
    return {
        "scenario": scenario.name, "gpus": scenario.gpus, "shards": scenario.shards,
        "models": models, "seed": seed, "bytes": float(sizes.sum()), "dollars": dollars,
    } | found  # fmt: skip


def write_scenarios(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """As CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({
                key: f"{value:.6g}" if isinstance(value, float) else value
                for key, value in row.items()
            })  # fmt: skip


def read_json(path: Path) -> Any:
    """What a tool has measured."""
    return json.loads(path.read_text("utf-8"))
