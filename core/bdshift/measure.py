"""How well a network does on images that no method has seen: ACC, ASR, RA and DER. For reports
only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bdshift.devices import autocast, usual_precision
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import SILENT, JobContext
from bdshift.purification import quantities as q
from bdshift.purification.clean_data import LabeledImages
from bdshift.triggers import Trigger

_BATCH_IMAGES = 250


@dataclass(frozen=True)
class Measured:
    """Results on test images, as shares in [0, 1].

    Attributes:
        acc: clean accuracy.
        asr: share of triggered images of other classes sent to the target; None without a trigger.
        ra: share of the same images that are still classified as labeled.
        by_class: clean accuracy of each class; NaN without images.
    """

    acc: float
    asr: float | None
    ra: float | None
    by_class: tuple[float, ...]


def before_steps(before: Measured, *, held_out: bool) -> dict[str, float]:
    """What ``before`` says of the network before a purification, by the names of
    `bdshift.purification.quantities`; with its accuracy, if that is of the ``held_out`` images.
    """
    found = {q.ASR: before.asr, q.RA: before.ra}
    if held_out:
        found[q.HELD_OUT_ACCURACY] = before.acc
    return {name: value for name, value in found.items() if value is not None}


def measure(
    network: nn.Module,
    preprocess: Preprocessing,
    test: LabeledImages,
    classes: int,
    trigger: Trigger | None = None,
    target: int = 0,
    *,
    precision: str = "",
    job: JobContext = SILENT,
) -> Measured:
    """ACC over the clean images; ASR and RA as `attack_success` returns them. ``precision`` is that
    of the convolutions, by default the usual one of the device.
    """
    predicted = _predict(network, preprocess, test.pixels, None, precision, job)
    labels = test.labels.cpu().numpy()
    right = predicted == labels
    attack = None
    if trigger is not None:
        attack = attack_success(
            network, preprocess, test, trigger, target, precision=precision, job=job
        )
    asr, ra = attack or (None, None)
    counts = np.bincount(labels, minlength=classes)
    with np.errstate(invalid="ignore"):
        by_class = np.bincount(labels[right], minlength=classes) / counts
    return Measured(float(right.mean()), asr, ra, tuple(by_class.tolist()))


def attack_success(
    network: nn.Module,
    preprocess: Preprocessing,
    test: LabeledImages,
    trigger: Trigger,
    target: int,
    *,
    precision: str = "",
    job: JobContext = SILENT,
) -> tuple[float, float] | None:
    """ASR and RA from one pass over the triggered images of the other classes; None if there are
    none.
    """
    part = test[test.labels != target]
    if not len(part):
        return None
    predicted = _predict(network, preprocess, part.pixels, trigger, precision, job)
    right = predicted == part.labels.cpu().numpy()
    return float((predicted == target).mean()), float(right.mean())


def _predict(
    network: nn.Module,
    preprocess: Preprocessing,
    pixels: torch.Tensor,
    trigger: Trigger | None,
    precision: str,
    job: JobContext,
) -> NDArray[np.int64]:
    network.eval()
    precision = precision or usual_precision(pixels.device)
    found = []
    with torch.inference_mode(), autocast(pixels.device, precision):
        for number, part in enumerate(pixels.split(_BATCH_IMAGES)):
            images = part if trigger is None else trigger(part.float()).round_()
            found.append(network(preprocess(images)).float().argmax(1).cpu())
            job.progress(
                "Measuring", min((number + 1) * _BATCH_IMAGES, len(pixels)), len(pixels), "images"
            )
    return torch.cat(found).numpy()


def der(before: Measured, after: Measured) -> float | None:
    """Defense effectiveness rating, (max(0, ΔASR) − max(0, ΔACC) + 1)/2, where Δ is the drop from
    before to after; in [0, 1], None without a trigger. The printed formula is garbled; this one
    reproduces the paper's Table 4.
    """
    if before.asr is None or after.asr is None:
        return None
    return (max(0.0, before.asr - after.asr) - max(0.0, before.acc - after.acc) + 1) / 2
