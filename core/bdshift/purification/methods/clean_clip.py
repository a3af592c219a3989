"""CleanCLIP (Bansal et al., 2023): fine-tuning in which an image also has to look like itself.

The paper tunes both towers of a CLIP model on captioned images: CLIP's loss, and in each tower the
same loss between an input and an augmented copy. Here the text tower, and with it a head that is
made of the class names, stays as it is; captions are class names, so CLIP's loss over images is the
cross-entropy. What is left works for any classifier. The paper's optimizer is AdamW with 1e-5, for
ten epochs on 100 000 pairs; here it is SGD, as for all fine-tuning, on the few images that there
are.
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
class CleanClip(Method):
    """Cross-entropy + ``weight`` · InfoNCE(φ(x), φ(x')), where x' is x under AutoAugment.

    Attributes:
        weight: of the second loss.
        temperature: that its cosines are divided by.
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4.
    """

    name = "cleanclip"
    label = words("CleanCLIP", ja="CleanCLIP")
    summary = words(
        "Fine-tunes, and an image's embedding must be that of its augmented copy.",
        ja="微調整しながら、画像とその拡張画像の埋め込みを一致させます。",
    )
    place = 45

    weight: float = setting(
        1.0, words("Weight of the copies", ja="拡張画像の重み"),
        words("Of the loss between images and their augmented copies.",
              ja="画像と拡張画像の間の損失の重み。"),
        low=0, high=1000, step=0.5, decimals=2, source=words("1 in the paper.", ja="論文では 1。"),
    )  # fmt: skip
    temperature: float = setting(
        0.07, words("Temperature", ja="温度"),
        words("Cosines between embeddings are divided by it.",
              ja="埋め込み間のコサイン類似度を割る値。"),
        low=0, above=True, high=100, step=0.01, decimals=3,
        source=words("Where CLIP's training starts.", ja="CLIP の学習の初期値。"),
    )  # fmt: skip
    epochs: int = epochs_setting(20, words("10 in the paper.", ja="論文では 10。"))
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(128, words("64 in the paper.", ja="論文では 64。"))

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Tune."""
        plain = clean_loss(bench)

        def loss(phi: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            images, copies = phi.split(len(labels))
            alike = _info_nce(images, copies, self.temperature)
            return plain(images, labels) + self.weight * alike

        sgd = Sgd(self.epochs, self.batch, self.rate)
        yield from tune(bench, sgd, loss, score=plain, copies=augmented)


def _info_nce(images: torch.Tensor, copies: torch.Tensor, temperature: float) -> torch.Tensor:
    """CLIP's loss: each image is to be closest to its own copy, and each copy to its image."""
    images, copies = functional.normalize(images, dim=1), functional.normalize(copies, dim=1)
    cosines = images @ copies.T / temperature
    own = torch.arange(len(images), device=images.device)
    both = functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own)
    return both / 2
