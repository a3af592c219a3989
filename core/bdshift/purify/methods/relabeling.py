"""Relabel fine-tuning: triggered images get their true labels back."""

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

_LIMIT = 1.0  # of a gradient's norm: at first the loss of triggered images is very large


@METHODS.register
@dataclass(frozen=True)
class Relabeling(Method):
    """SGD on triggered images with their true labels and as many clean ones, with the batch norms
    fixed. The epoch kept is chosen as by TBAR.

    Attributes:
        images: triggered images, at most; as many clean ones are added.
        epochs, rate, batch: of SGD with momentum 0.9, without weight decay.
        keep: share of the held-out accuracy that must be left.
    """

    name = "relabeling"
    label = words("Relabel fine-tuning", ja="再ラベル微調整")
    summary = words(
        "Teaches the network to be right under a known or recovered trigger.",
        ja="既知または復元したトリガーの下でも正しく分類するよう学習します。",
    )
    place = 16
    sees_trigger = True

    images: int = images_setting()
    epochs: int = epochs_setting(4)
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(64)
    keep: float = kept_accuracy_setting()

    @property
    def total(self) -> int:
        """Steps at most: one before the first epoch."""
        return 1 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Learn the true labels."""
        triggered = some(triggered_images(bench, self.name).tune, self.images, bench.seed)
        clean = some(bench.clean.tune, len(triggered), bench.seed)
        images = LabeledImages(
            torch.cat((triggered.pixels, clean.pixels)), torch.cat((triggered.labels, clean.labels))
        )
        yield from unlearn(
            bench, self.spec, images, self.epochs, self.batch, self.rate, self.keep, limit=_LIMIT
        )
