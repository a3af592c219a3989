"""How much a budget of seconds buys, at the speed that `bdshift.devices` takes machines to have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.footprint import work_per_image
from bdshift.devices import SPEED

LEAST_CLASSES = 8
"""That are compared, whatever the budget."""


def affordable_passes(classifier: Classifier, seconds: float) -> float:
    """Images that can go through the network forward and back in ``seconds`` of two cores."""
    plain = classifier.preprocessing
    each = 3 * work_per_image(classifier.network, plain.size, plain.channels)
    return seconds * SPEED / max(each, 1.0)


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
