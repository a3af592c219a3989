"""BEEAR (Zeng et al., 2024), a defense for language models, ported to image classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional

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
class Beear(Method):
    """Two turns per epoch. Inner: a shift δ of the embedding that sends clean images to the target,
    by Adam on CE(h(φ + δ), t), whose length is not bounded, unlike Eq. 4's. Outer: tuning on
    CE(h(φ), y) + CE(h(φ + δ), y). The epoch with the lowest held-out loss on clean images is kept:
    the loss under δ cannot be compared, since δ changes. The paper is about language models: what
    differs from it (the layer, the rates, that δ starts from zero in each turn) is this port's
    choice, and was not tuned.

    Attributes:
        inner: updates of δ per epoch.
        inner_rate: of Adam.
        epochs, rate, batch: of SGD with momentum 0.9 and weight decay 5e-4.
    """

    name = "beear"
    label = "BEEAR"
    summary = words("Like shift tuning, but with an unbounded shift found again in each epoch.",
                    ja="シフト調整と同じですが、エポックごとに求め直す、"
                       "長さに制限のないシフトを使います。")  # fmt: skip
    place = 80
    table_rows = (("BEEAR", "beear"),)
    drawn_as = "BEEAR's perturbation"

    inner: int = setting(
        50, words("Inner updates", ja="内側の更新"),
        words("Of the shift, in each epoch.", ja="各エポックでのシフトの更新回数。"),
        low=1, high=100_000, step=10,
    )  # fmt: skip
    inner_rate: float = setting(
        0.1, words("Inner rate", ja="内側の学習率"),
        words("Of Adam on the shift.", ja="シフトに対する Adam の学習率。"),
        low=0, above=True, high=1_000_000, step=0.05, decimals=4,
    )  # fmt: skip
    epochs: int = epochs_setting(12)
    rate: float = rate_setting(0.01)
    batch: int = batch_setting(128)

    @property
    def total(self) -> int:
        """Steps at most."""
        return self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Take turns."""
        if "delta" not in bench.state:
            self._seek(bench)
            bench.state["ranking"] = bench.state["delta"].clone()  # of the original network

        def loss(phi: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            shifted = bench.head(phi + bench.state["delta"])
            plain = functional.cross_entropy(bench.head(phi), labels)
            return plain + functional.cross_entropy(shifted, labels)

        sgd = Sgd(self.epochs, self.batch, self.rate)
        for step in tune(bench, sgd, loss, score=clean_loss(bench)):
            if step.number < self.epochs - 1:
                self._seek(bench)
            yield step

    def _seek(self, bench: Workbench) -> None:
        """Find δ, for the network as it is now."""
        phi = bench.embed(bench.clean.tune)
        delta = torch.zeros(bench.head.in_features, device=bench.device, requires_grad=True)
        optimizer = torch.optim.Adam([delta], self.inner_rate)
        wanted = torch.full((len(phi),), bench.target, device=bench.device)
        for _ in range(self.inner):
            bench.job.raise_if_canceled()
            value = functional.cross_entropy(bench.head(phi + delta), wanted)
            (delta.grad,) = torch.autograd.grad(value, [delta])
            optimizer.step()
        bench.state["delta"] = delta.detach()
