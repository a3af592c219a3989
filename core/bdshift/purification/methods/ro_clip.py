"""RoCLIP (Yang, Gan and Mirzasoleiman, 2023): an image is learned, in turn, with its own caption
and with the one that is most like it.

The paper trains a CLIP model from the start. Every second epoch, an image is matched with the most
similar of a bank of other captions instead of its own, so a poisoned caption loses its image;
images and captions are augmented. Here a trained network is tuned, with the text tower as it is:
captions are class names, so the bank is the head, and the most similar caption is the class that
the image is sent to. What is left works for any classifier. The paper's optimizer is AdamW with
5e-5, for 24 epochs; here it is SGD, as for all fine-tuning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.purification.augmentation import augmented
from bdshift.purification.method import METHODS, Method, Step
from bdshift.purification.tuning import (
    Sgd,
    batch_setting,
    clean_loss,
    epochs_setting,
    rate_setting,
    tune,
)
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words


@METHODS.register
@dataclass(frozen=True)
class RoClip(Method):
    """Cross-entropy of images under AutoAugment, with their labels; in every ``every``-th epoch,
    with the classes that the images themselves are sent to.

    Attributes:
        every: epochs from one of these to the next.
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4.
    """

    name = "roclip"
    label = words("RoCLIP", ja="RoCLIP")
    summary = words(
        "Fine-tunes on augmented images, every other epoch with the most similar caption instead "
        "of the label.",
        ja="拡張画像で微調整し、1 エポックおきにラベルの代わりに最も近いキャプションで学習します。",
    )
    place = 46

    every: int = setting(
        2, words("Every so many epochs", ja="間隔（エポック）"),
        words("Epochs from one with the most similar captions to the next.",
              ja="最も近いキャプションで学習するエポックの間隔。"),
        low=1, high=500, source=words("2 in the paper.", ja="論文では 2。"),
    )  # fmt: skip
    epochs: int = epochs_setting(20, words("24 in the paper.", ja="論文では 24。"))
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(128, words("512 in the paper.", ja="論文では 512。"))

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Tune."""

        def loss(phi: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            images, copies = phi.split(len(labels))
            if (bench.state.get("epoch", 0) + 1) % self.every == 0:
                labels = bench.head(images).argmax(1)
            return functional.cross_entropy(bench.head(copies), labels)

        sgd = Sgd(self.epochs, self.batch, self.rate)
        yield from tune(bench, sgd, loss, score=clean_loss(bench), copies=augmented)
