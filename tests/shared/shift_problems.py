"""Problems of Eq. 4, and the mean loss by its definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def problem(
    images: int = 200, dim: int = 16, classes: int = 5, seed: int = 0, scale: float = 1.0
) -> tuple[Array, Array]:
    """Logits and head of noisy clusters, a direction a class."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(classes, dim))
    labels = rng.integers(0, classes, images)
    phi = np.maximum(centers[labels] + rng.normal(size=(images, dim)), 0) * scale
    weight = centers - centers.mean(0) + 0.2 * rng.normal(size=(classes, dim))
    return phi @ weight.T + rng.normal(size=classes), weight


def mean_loss(logits: Array, weight: Array, shift: Array, target: int) -> tuple[float, Array]:
    """Mean CE under the shift and its gradient, straight from the definition."""
    z = logits + weight @ shift
    z = z - z.max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    loss = float(np.mean(np.log(np.exp(z).sum(1)) - z[:, target]))
    pull = p.mean(0)
    pull[target] -= 1
    return loss, weight.T @ pull
