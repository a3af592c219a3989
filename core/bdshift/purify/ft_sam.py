"""FT-SAM (Zhu et al., 2023): fine-tuning with adaptive sharpness-aware minimization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch.nn import functional

from bdshift.errors import UsageError
from bdshift.purify.method import Form, Method, Step, check_form
from bdshift.purify.sharpness import sharp_gradient
from bdshift.purify.tuning import Schedule, Sgd, tune
from bdshift.purify.workbench import Workbench

_SCHEDULES: dict[Form, Schedule] = {"fixed": "cosine", "reference": "swinging"}


@dataclass(frozen=True)
class FtSam(Method):
    """SGD whose gradient is that at w + ρ·w²g/‖|w|g‖, with smoothed labels.

    Attributes:
        rho: 2 on CIFAR-10, 8 on GTSRB and Tiny ImageNet in BackdoorBench.
        smoothing: of the labels.
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4; 100 epochs of 0.01 and
            256 images in BackdoorBench.
        form: "fixed" lets the rate fall along one cosine over the run. "reference" moves a
            cosine made for 100 epochs on once a batch, as BackdoorBench does, so that the rate
            swings between ``rate`` and nothing.
    """

    name: ClassVar[str] = "ft-sam"

    rho: float = 2.0
    smoothing: float = 0.1
    epochs: int = 20
    rate: float = 0.01
    batch: int = 128
    form: Form = "fixed"

    def __post_init__(self) -> None:
        check_form(self.name, self.form)
        Sgd(self.epochs, self.batch, self.rate)  # which checks them
        if not (self.rho > 0 and 0 <= self.smoothing < 1):
            raise UsageError("ft-sam: rho is positive, smoothing is in [0, 1)")

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Tune."""
        yield from tune(
            bench,
            Sgd(self.epochs, self.batch, self.rate, schedule=_SCHEDULES[self.form]),
            lambda phi, labels: functional.cross_entropy(
                bench.head(phi), labels, label_smoothing=self.smoothing
            ),
            gradient=sharp_gradient(self.rho, adaptive=True),
        )
