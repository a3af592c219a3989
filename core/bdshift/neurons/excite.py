"""Which images excite a neuron, or a set of them, and how strongly the classes do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bdshift.shift.embed import Embedding


def excitation(embedding: Embedding, neurons: Sequence[int]) -> NDArray[np.float64]:
    """Mean of φ over ``neurons`` for each image, float64 (N,)."""
    return embedding.phi[:, list(neurons)].mean(1, dtype=np.float64)


def most_excited(embedding: Embedding, neurons: Sequence[int], count: int) -> NDArray[np.int64]:
    """Indices of the ``count`` images that excite ``neurons`` most, the strongest first."""
    return np.argsort(-excitation(embedding, neurons), kind="stable")[:count]


def mean_by_class(
    embedding: Embedding, neurons: Sequence[int], classes: int
) -> NDArray[np.float64]:
    """Mean excitation of each class, float64 (C,); NaN for a class without images."""
    values = excitation(embedding, neurons)
    total = np.bincount(embedding.labels, values, minlength=classes)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(embedding.labels, minlength=classes)
