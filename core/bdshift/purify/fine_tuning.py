"""Plain fine-tuning on clean images: the weakest defense, and the yardstick of all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bdshift.purify.method import Method, Step
from bdshift.purify.tuning import Sgd, clean_loss, tune
from bdshift.purify.workbench import Workbench


@dataclass(frozen=True)
class FineTuning(Method):
    """SGD on the clean cross-entropy.

    Attributes:
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4.
    """

    name: ClassVar[str] = "fine-tuning"

    epochs: int = 20
    rate: float = 0.01
    batch: int = 128

    def __post_init__(self) -> None:
        Sgd(self.epochs, self.batch, self.rate)  # which checks them

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Tune."""
        yield from tune(bench, Sgd(self.epochs, self.batch, self.rate), clean_loss(bench))
