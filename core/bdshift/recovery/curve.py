"""How success follows size: measured on images that no search has seen."""

from __future__ import annotations

import math

import torch

from bdshift.changes import ChangeKind, Params
from bdshift.recovery.recovery import LEVELS, SizeOf
from bdshift.recovery.scene import Scene
from bdshift.recovery.search import Found
from bdshift.words import Sentence

FACTORS = (0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0)
"""By which a change is made smaller and larger."""


def measure_sizes(kind: ChangeKind, scene: Scene, found: Found) -> list[SizeOf]:
    """The size at every level of success for each class, on the scene's images of other classes;
    the search must not have used them.
    """
    stage = Sentence("Measuring on unused images: {kind}", {"kind": Sentence(kind.label)})
    targets, sizes = found.targets.tolist(), list[SizeOf]()
    for row, target in enumerate(targets):
        sizes.append(_size_of(kind, scene, int(target), found.of(row)))
        scene.job.progress(stage, row + 1, len(targets), "classes")
    return sizes


def at_level(kind: ChangeKind, scene: Scene, target: int, params: Params, level: float) -> Params:
    """The change, made just as large as it takes to reach ``level``; as it is if none does."""
    for factor in FACTORS:
        resized = kind.scaled(params, factor)
        if success(kind, scene, target, resized) >= level:
            return resized
    return params


def success(kind: ChangeKind, scene: Scene, target: int, params: Params) -> float:
    """Share of the scene's images of other classes that one change (S = 1) sends to the target; NaN
    if there are none.
    """
    rows = torch.nonzero(scene.labels != target)[:, 0]
    hits = 0
    with torch.no_grad():
        for part in rows.split(scene.batch):
            scene.job.raise_if_canceled()
            logits, _ = scene.run(kind.changed(params, scene.pixels[part])[0])
            hits += int((logits.argmax(1) == target).sum())
    return hits / len(rows) if len(rows) else math.nan


def _size_of(kind: ChangeKind, scene: Scene, target: int, params: Params) -> SizeOf:
    steps = [kind.scaled(params, factor) for factor in FACTORS]
    rates = [success(kind, scene, target, one) for one in steps]
    with torch.no_grad():
        sizes = [float(kind.size(one)) for one in steps]
    return SizeOf(
        target, tuple(_reached(sizes, rates, level) for level in LEVELS), rates[FACTORS.index(1)]
    )


def _reached(sizes: list[float], rates: list[float], level: float) -> float:
    """The size at which success first reaches a level, between two steps along a line in log size;
    infinite if it never does.
    """
    for place, rate in enumerate(rates):
        if rate >= level:
            if place == 0:
                return sizes[place]
            share = (level - rates[place - 1]) / (rate - rates[place - 1])
            low, high = (math.log(max(size, 1e-12)) for size in sizes[place - 1 : place + 1])
            return math.exp(low + share * (high - low))
    return math.inf
