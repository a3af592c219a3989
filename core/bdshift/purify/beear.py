"""BEEAR (Zeng et al., 2024), a defense of language models, carried over to image classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from bdshift.errors import UsageError
from bdshift.purify.method import Method, Step
from bdshift.purify.tuning import Sgd, clean_loss, tune
from bdshift.purify.workbench import Workbench


@dataclass(frozen=True)
class Beear(Method):
    """Two turns an epoch. Inner: a shift δ of the embedding that sends clean images to the target,
    by Adam on CE(h(φ + δ), t), with no bound on its length, unlike Eq. 4's. Outer: tuning on
    CE(h(φ), y) + CE(h(φ + δ), y). The epoch of the least held-out loss on clean images is kept: the
    loss under δ cannot be compared, since δ changes. The paper is about language models: what is
    not the same there (the layer, the rates, that δ is sought from nothing in each turn) is this
    port's choice, and was not tuned.

    Attributes:
        inner: updates of δ an epoch.
        inner_rate: of Adam.
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4.
    """

    name: ClassVar[str] = "beear"

    inner: int = 50
    inner_rate: float = 0.1
    epochs: int = 12
    rate: float = 0.01
    batch: int = 128

    def __post_init__(self) -> None:
        Sgd(self.epochs, self.batch, self.rate)  # which checks them
        if self.inner < 1 or not self.inner_rate > 0:
            raise UsageError("beear: an inner update at least, of a positive rate")

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Take turns."""
        if "delta" not in bench.state:
            self._seek(bench)
            bench.state["ranking"] = bench.state["delta"].clone()  # of the network as it came

        def loss(phi: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            shifted = bench.head(phi + bench.state["delta"])
            plain = functional.cross_entropy(bench.head(phi), labels)
            return plain + functional.cross_entropy(shifted, labels)

        sgd = Sgd(self.epochs, self.batch, self.rate)
        for step in tune(bench, sgd, loss, score=clean_loss(bench)):
            self._seek(bench)
            yield step

    def _seek(self, bench: Workbench) -> None:
        """Find δ, for the network as it is now."""
        phi = bench.embed(bench.clean.tune)
        delta = torch.zeros(bench.head.in_features, device=bench.device, requires_grad=True)
        optimizer = torch.optim.Adam([delta], self.inner_rate)
        wanted = torch.full((len(phi),), bench.target, device=bench.device)
        for _ in range(self.inner):
            value = functional.cross_entropy(bench.head(phi + delta), wanted)
            (delta.grad,) = torch.autograd.grad(value, [delta])
            optimizer.step()
        bench.state["delta"] = delta.detach()
