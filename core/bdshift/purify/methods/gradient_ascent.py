"""Gradient ascent: the network is led away from sending triggered images to the target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from bdshift.purify.clean_data import LabeledImages
from bdshift.purify.method import METHODS, Method, Step
from bdshift.purify.tuning import batch_setting, epochs_setting, rate_setting
from bdshift.purify.unlearning import (
    images_setting,
    kept_accuracy_setting,
    some,
    triggered_images,
    unlearn,
)
from bdshift.purify.workbench import Workbench
from bdshift.words import words

_LIMIT = 1.0  # of a gradient's norm: uphill there is no minimum that would make it small


@METHODS.register
@dataclass(frozen=True)
class GradientAscent(Method):
    """SGD uphill on the cross-entropy of triggered images labeled with the target, with the batch
    norms fixed and gradients clipped to the norm 1. The epoch kept is chosen as by TBAR. Published
    as the simplest rival of it; the rate is ours.

    Attributes:
        images: triggered images, at most.
        epochs, rate, batch: of SGD with momentum 0.9, without weight decay.
        keep: share of the held-out accuracy that must be left.
    """

    name = "gradient-ascent"
    label = words("Gradient ascent", ja="勾配上昇")
    summary = words("Leads the network away from what a known or recovered trigger does.",
                    ja="既知または復元したトリガーの効果から遠ざかるよう学習します。")  # fmt: skip
    place = 17
    sees_trigger = True

    images: int = images_setting()
    epochs: int = epochs_setting(10)
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(64)
    keep: float = kept_accuracy_setting()

    @property
    def total(self) -> int:
        """Steps at most: one before the first epoch."""
        return 1 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Climb."""
        chosen = some(triggered_images(bench, self.name).tune, self.images, bench.seed)
        images = LabeledImages(chosen.pixels, torch.full_like(chosen.labels, bench.target))
        yield from unlearn(
            bench,
            self.spec,
            images,
            self.epochs,
            self.batch,
            self.rate,
            self.keep,
            uphill=True,
            limit=_LIMIT,
        )
