"""How a network does on images that no method saw: ACC, ASR, RA and DER. For reports only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bdshift.devices import autocast, has_native_bfloat16
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import SILENT, JobContext
from bdshift.purify.clean_data import Part
from bdshift.triggers import Trigger

_BATCH = 250


@dataclass(frozen=True)
class Measured:
    """On test images, shares in [0, 1]. Arrays are read-only.

    Attributes:
        acc: clean accuracy.
        asr: share of triggered images of other classes sent to the target; None without a trigger.
        ra: share of the same images still classified as labelled.
        by_class: clean accuracy of each class, float64 (C,); NaN without images.
        predicted: class of each clean image, int64 (n,).
    """

    acc: float
    asr: float | None
    ra: float | None
    by_class: NDArray[np.float64]
    predicted: NDArray[np.int64]

    def __post_init__(self) -> None:
        self.by_class.flags.writeable = self.predicted.flags.writeable = False


def measure(
    network: nn.Module,
    preprocess: Preprocessing,
    test: Part,
    trigger: Trigger | None = None,
    target: int = 0,
    *,
    job: JobContext = SILENT,
) -> Measured:
    """ACC over the clean images; ASR and RA from one pass over the triggered ones."""
    predicted = _predict(network, preprocess, test.pixels, None, job)
    labels = test.labels.cpu().numpy()
    right = predicted == labels
    classes = int(max(labels.max(), predicted.max())) + 1
    asr = ra = None
    others = test.labels != target
    if trigger is not None and bool(others.any()):
        fooled = _predict(network, preprocess, test.pixels[others], trigger, job)
        asr = float((fooled == target).mean())
        ra = float((fooled == labels[others.cpu().numpy()]).mean())
    counts = np.bincount(labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        by_class = np.bincount(labels[right], minlength=classes) / counts
    return Measured(float(right.mean()), asr, ra, by_class, predicted)


def _predict(
    network: nn.Module,
    preprocess: Preprocessing,
    pixels: torch.Tensor,
    trigger: Trigger | None,
    job: JobContext,
) -> NDArray[np.int64]:
    network.eval()
    precision = "bfloat16" if has_native_bfloat16(pixels.device) else "float32"
    found = []
    with torch.inference_mode(), autocast(pixels.device, precision):
        for number, part in enumerate(pixels.split(_BATCH)):
            images = part if trigger is None else trigger(part.float()).round_()
            found.append(network(preprocess(images)).float().argmax(1).cpu())
            job.progress(
                "Measuring", min((number + 1) * _BATCH, len(pixels)), len(pixels), "images"
            )
    return torch.cat(found).numpy()


def der(before: Measured, after: Measured) -> float | None:
    """Defence effectiveness rating, (max(0, ΔASR) − max(0, ΔACC) + 1)/2, of drops from before to
    after; in [0, 1], None without a trigger. The printed formula is garbled; this one gives the
    paper's Table 4.
    """
    if before.asr is None or after.asr is None:
        return None
    return (max(0.0, before.asr - after.asr) - max(0.0, before.acc - after.acc) + 1) / 2
