"""Which images excite a neuron or a set of neurons, and how much each class does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bdshift.shift.embed import Embedding


def excitation(embedding: Embedding, neurons: Sequence[int]) -> NDArray[np.float64]:
    """Mean of φ over ``neurons`` for each image, float64 (N,)."""
    return embedding.phi[:, list(neurons)].mean(1, dtype=np.float64)


def most_excited(
    embedding: Embedding, neurons: Sequence[int], count: int, *, without: int | None = None
) -> NDArray[np.int64]:
    """Indices of the ``count`` images that excite ``neurons`` most, strongest first, leaving out
    those of class ``without``.
    """
    order = np.argsort(-excitation(embedding, neurons), kind="stable")
    return (
        order[embedding.labels[order] != without][:count] if without is not None else order[:count]
    )


def histogram_by_class(
    values: NDArray[np.float64], labels: NDArray[np.int64], classes: int, edges: NDArray[np.float64]
) -> NDArray[np.int64]:
    """How the excitations of each class are distributed: counts, int64 (C, B), between ``edges``
    (B + 1,).

    ``values`` (N,) are those of `excitation`, ``labels`` (N,) are in 0…C − 1. Values outside the
    edges are left out; the last bin includes both its ends, as in `numpy.histogram`.
    """
    both = (np.arange(classes + 1) - 0.5, edges)
    return np.histogram2d(labels, values, both)[0].astype(np.int64)
