"""Embeddings of made-up networks in which something is planted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bdshift.images.collection import ImageFile
from bdshift.shift.embed import Embedding

Array = NDArray[np.float64]


def clusters(
    classes: int,
    *,
    dim: int = 16,
    each: int = 12,
    shown: int | None = None,
    scale: float = 1.0,
    drawn: Sequence[int] | None = None,
    pull: float = 0.25,
    seed: int = 0,
) -> tuple[Array, NDArray[np.int64], Array]:
    """Logits (N, C), labels (N,) and head (C, d) of classes in clusters, ``each`` images of the
    first ``shown`` classes. Class i is ``pull`` of the way to class ``drawn[i]``, one way only.
    """
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(classes, dim))
    centers *= 4 / np.linalg.norm(centers, axis=1, keepdims=True)
    weight = centers - centers.mean(0)
    if drawn is not None:
        centers = centers + pull * (centers[list(drawn)] - centers)
    labels = np.repeat(np.arange(shown or classes), each)
    phi = centers[labels] + 0.15 * rng.normal(size=(len(labels), dim))
    return scale * phi @ weight.T, labels, weight


def embedding_of(logits: Array, labels: NDArray[np.int64], dim: int) -> Embedding:
    """An embedding with these logits, and nothing else that could be looked at."""
    count = len(labels)
    return Embedding(
        phi=np.zeros((count, dim), np.float32),
        logits=logits.astype(np.float32),
        labels=labels.astype(np.int64),
        thumbnails=np.zeros((count, 3, 1, 1), np.uint8),
        files=tuple(ImageFile(f"{i}.png", int(label)) for i, label in enumerate(labels)),
        images_hash="",
        skipped=(),
        precision="float32",
        batch=1,
        seconds=0.0,
    )
