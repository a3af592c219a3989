"""Trigger-activated change (Eq. 3): how much each neuron of the embedding moves under a trigger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bdshift.arrays import array, freeze
from bdshift.errors import InputError
from bdshift.shift.embed import Embedding

_NEURONS = 256  # at a time


@dataclass(frozen=True)
class Tac:
    """TAC under one trigger. Arrays are read-only, with one value per neuron, in units of φ.

    Attributes:
        trigger: its text, as `bdshift.triggers.parse_trigger` reads it.
        target: index of the class that the trigger is tested for.
        change: mean over images of |φ_k(x+δ) − φ_k(x)|, float64 (d,); Eq. 3, which is unsigned.
        signed: mean over images of φ_k(x+δ) − φ_k(x), float64 (d,).
        asr: share of triggered images of other classes that are sent to ``target``.
        ra: share of triggered images of other classes still classified as labeled; NaN without
            labels.
        images: number of images that it was measured on.
        triggered: the images' embedding with the trigger, in the order of the clean one; None if
            the audit file was saved without embeddings.
    """

    trigger: str
    target: int
    asr: float
    ra: float
    images: int
    change: NDArray[np.float64] = array("d")
    signed: NDArray[np.float64] = array("d")
    triggered: Embedding | None = None

    def __post_init__(self) -> None:
        freeze(self)


def measure_tac(clean: Embedding, triggered: Embedding, trigger: str, target: int) -> Tac:
    """TAC, ASR and RA from the embeddings of the same images without and with the trigger.

    Raises `InputError` if the two are not of the same images.
    """
    if clean.files != triggered.files or clean.phi.shape != triggered.phi.shape:
        raise InputError("the triggered images are not those of the clean pass")
    change, signed = _moved(clean.phi, triggered.phi)
    others = clean.labels != target
    predicted = triggered.logits.argmax(1)[others]
    right = predicted == clean.labels[others]
    return Tac(
        trigger=trigger,
        target=target,
        change=change,
        signed=signed,
        asr=float((predicted == target).mean()) if others.any() else float("nan"),
        ra=float(right.mean()) if clean.labeled and others.any() else float("nan"),
        images=len(clean.labels),
        triggered=triggered,
    )


def _moved(
    clean: NDArray[np.float32], triggered: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of |φ(T(x)) − φ(x)| and of φ(T(x)) − φ(x), (d,) each; a few neurons at a time, so that
    no copy of all embeddings is needed.
    """
    change, signed = np.empty(clean.shape[1]), np.empty(clean.shape[1])
    for start in range(0, clean.shape[1], _NEURONS):
        some = slice(start, start + _NEURONS)
        moved = triggered[:, some].astype(np.float64) - clean[:, some]
        change[some], signed[some] = np.abs(moved).mean(0), moved.mean(0)
    return change, signed
