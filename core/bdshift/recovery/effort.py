"""How much a budget of seconds buys, at the speed that machines are taken to have
(`bdshift.checkpoints.footprint.Work.seconds`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.footprint import work_per_image

LEAST_CLASSES = 8
"""That are compared, whatever the budget."""


def affordable_passes(classifier: Classifier, seconds: float, precision: str) -> float:
    """Images that can go through the network forward and back in ``seconds`` of two cores, in
    ``precision`` ("float32" or "bfloat16").
    """
    plain = classifier.preprocessing
    work = work_per_image(classifier.network, plain.size, plain.channels)
    return seconds / max(2 * work.seconds(precision), 1e-9)


def shortlist(most: float, norms: NDArray[np.float64], seed: int) -> list[int]:
    """The classes that a budget for ``most`` of them reaches: all, or half of them those with the
    smallest embedding shifts ``norms`` (C,), and half drawn at random to compare with.
    """
    classes = len(norms)
    if most >= classes:
        return list(range(classes))
    count = min(classes, max(LEAST_CLASSES, int(most)))
    order = np.argsort(norms, kind="stable")
    first = order[: count // 2]
    others = np.random.default_rng(seed).permutation(order[count // 2 :])[: count - count // 2]
    return sorted([*first.tolist(), *others.tolist()])
