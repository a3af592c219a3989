"""Plain fine-tuning on clean images: the weakest defense, and the baseline for all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
from bdshift.words import words


@METHODS.register
@dataclass(frozen=True)
class FineTuning(Method):
    """SGD on the clean cross-entropy.

    Attributes:
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4.
    """

    name = "fine-tuning"
    label = words("Fine-tuning", ja="微調整")
    summary = words(
        "On clean images alone: the baseline.", ja="クリーン画像だけで学習します（比較の基準）。"
    )
    place = 40
    table_rows = (("fine-tuning", "fine-tuning"),)

    epochs: int = epochs_setting(20)
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(128)

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Tune."""
        yield from tune(bench, Sgd(self.epochs, self.batch, self.rate), clean_loss(bench))
