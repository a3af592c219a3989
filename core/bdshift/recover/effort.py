"""How much a budget of seconds buys. It never depends on the clock: the same budget gives the same
numbers on every machine, however busy it is, so a budget is approximate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bdshift.changes import ChangeKind
from bdshift.checkpoints.footprint import work_per_image
from bdshift.recover.scene import Scene
from bdshift.recover.search import passes
from bdshift.shift.solve import solve

_SPEED = 2e10  # multiply-adds per second: two cores of a CPU; a GPU is a hundred times as fast
_LEAST_CLASSES = 8


def affordable_passes(scene: Scene, seconds: float) -> int:
    """Images that can go through the network forward and back."""
    one = scene.classifier
    each = 3 * work_per_image(one.network, scene.side, one.preprocessing.channels)
    return int(seconds * _SPEED / max(each, 1.0))


def shortlist(
    kind: ChangeKind,
    scene: Scene,
    logits: NDArray[np.float32],
    weight: NDArray[np.float32],
    seconds: float,
    seed: int,
) -> list[int]:
    """The classes that a budget reaches: all, or half of them those with the smallest embedding
    shifts and half drawn at random to compare them with.
    """
    classes = len(weight)
    count = max(_LEAST_CLASSES, affordable_passes(scene, seconds) // passes(kind, 1))
    if count >= classes:
        return list(range(classes))
    order = np.argsort(solve(logits, weight).l2, kind="stable")
    first = order[: count // 2]
    others = np.random.default_rng(seed).permutation(order[count // 2 :])[: count - count // 2]
    return sorted([*first.tolist(), *others.tolist()])
