"""What if some neurons were cut? Answered from the cache, without the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdshift.neurons.tac import Tac
from bdshift.shift.embed import Embedding


@dataclass(frozen=True)
class CutOutcome:
    """A classifier whose embedding is set to zero at some neurons. Arrays are read-only.

    Attributes:
        neurons: which ones, sorted.
        accuracy: clean accuracy; of images without labels, the share whose prediction stays.
        by_class: the same of each class, float64 (C,); NaN without images.
        asr, ra: as in `Tac`; None without a trigger, ``ra`` also without labels.
        logits: float32 (N, C), of the clean images.
        weight: the head (C, d) that has the same effect: its columns at the neurons are zero.
    """

    neurons: tuple[int, ...]
    accuracy: float
    by_class: NDArray[np.float64]
    asr: float | None
    ra: float | None
    logits: NDArray[np.float32]
    weight: NDArray[np.float32]

    def __post_init__(self) -> None:
        for array in (self.by_class, self.logits, self.weight):
            array.flags.writeable = False


def accuracy_by_class(
    logits: NDArray[np.float32], labels: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Share of each class's images classified as labeled, float64 (C,); NaN without images."""
    hits = np.bincount(labels[logits.argmax(1) == labels], minlength=classes)
    counts = np.bincount(labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        return hits / counts


def cut(
    embedding: Embedding,
    weight: NDArray[np.float32],
    neurons: Iterable[int],
    tac: Tac | None = None,
) -> CutOutcome:
    """Set ``neurons`` of φ to zero: the logits lose φ_S W_Sᵀ, one thin product.

    ``weight`` is the head (C, d). With a ``tac`` that has kept its triggered embedding, ASR toward
    its target and RA are computed as well. The shifts of the cut classifier are
    ``solve_exact(cut.logits, cut.weight)``.
    """
    chosen = sorted({int(k) for k in neurons})
    columns = np.ascontiguousarray(weight[:, chosen].T)

    def less(one: Embedding) -> NDArray[np.float32]:
        return one.logits - one.phi[:, chosen] @ columns if chosen else one.logits.copy()

    logits = less(embedding)
    left = weight.copy()
    left[:, chosen] = 0
    asr = ra = None
    if tac is not None and tac.triggered is not None:
        others = embedding.labels != tac.target
        predicted = less(tac.triggered)[others].argmax(1)
        if others.any():
            asr = float((predicted == tac.target).mean())
            if embedding.labeled:
                ra = float((predicted == embedding.labels[others]).mean())
    return CutOutcome(
        neurons=tuple(chosen),
        accuracy=float((logits.argmax(1) == embedding.labels).mean()),
        by_class=accuracy_by_class(logits, embedding.labels, len(weight)),
        asr=asr,
        ra=ra,
        logits=logits,
        weight=left,
    )
