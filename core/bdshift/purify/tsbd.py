"""TSBD (Lin et al., 2024): weights that unlearning the clean task moves most are set to zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from bdshift.errors import UsageError
from bdshift.purify.ascent import unlearn
from bdshift.purify.method import Form, Method, Step, check_form
from bdshift.purify.sharpness import sharp_gradient
from bdshift.purify.tuning import Sgd, clean_loss, held_out, tune
from bdshift.purify.workbench import Workbench

_GROW = 1.25  # of the ascent's rate an epoch, so that it ends on any network
_PUBLISHED = 0.1  # accuracy that ends it


@dataclass(frozen=True)
class Tsbd(Method):
    """The clean task is unlearned by ascent. A neuron's weight change is Σ|Δw| over its kernel, in
    every convolution but those of shortcuts. Of the neurons that changed most, the weights that
    changed most are set to zero in the original network, which is then fine-tuned, its gradient
    taken in part a little uphill.

    Attributes:
        unlearn_rate, unlearn_epochs: of the ascent.
        neuron_share: of all neurons, those that are touched; 0.15 in the paper.
        weight_share: of their weights; 0.7.
        epochs, rate, batch: of the fine-tuning; 20 of 0.01.
        radius, uphill: how far uphill a part of the gradient is taken, and how large a part; 0.05
            and 0.7.
        form: "fixed" ends the ascent at the accuracy of guessing, its rate growing by a quarter an
            epoch. "reference" ends it at 10 %, whatever the number of classes, and its rate stays,
            as in the published code, so that the epochs may end it first.
    """

    name: ClassVar[str] = "tsbd"

    unlearn_rate: float = 1e-4
    unlearn_epochs: int = 60
    neuron_share: float = 0.15
    weight_share: float = 0.7
    epochs: int = 20
    rate: float = 0.01
    batch: int = 128
    radius: float = 0.05
    uphill: float = 0.7
    form: Form = "fixed"

    def __post_init__(self) -> None:
        check_form(self.name, self.form)
        Sgd(self.epochs, self.batch, self.rate)  # which checks them
        if not (
            0 < self.neuron_share <= 1 and 0 < self.weight_share <= 1 and 0 <= self.uphill <= 1
        ):
            raise UsageError("tsbd: neuron_share, weight_share and uphill are shares")
        if self.unlearn_epochs < 1 or not min(self.unlearn_rate, self.radius) > 0:
            raise UsageError("tsbd: rates and radius are positive, and there is an epoch at least")

    @property
    def total(self) -> int:
        """Steps at most."""
        return 1 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Unlearn, set to zero, tune."""
        if "cut" not in bench.state:
            original = {k: v.detach().clone() for k, v in bench.network.state_dict().items()}
            fixed = self.form == "fixed"
            reached = unlearn(
                bench,
                self.unlearn_rate,
                self.batch,
                1 / bench.head.out_features if fixed else _PUBLISHED,
                self.unlearn_epochs,
                grow=_GROW if fixed else 1.0,
            )
            changes = {
                name: (conv.weight.detach() - original[f"{name}.weight"]).abs()
                for name, conv in _convolutions(bench.network)
            }
            bench.network.load_state_dict(original)
            gone = self._cut(bench, changes)
            bench.state["cut"] = gone
            fitting = [c for c in changes.values() if len(c) == bench.head.in_features]
            if fitting:
                bench.state["ranking"] = fitting[-1].flatten(1).sum(1)
            score, figures = held_out(bench, clean_loss(bench))
            figures |= {"cut": float(gone), "unlearned_accuracy": reached}
            yield Step(0, score, figures)
        yield from tune(
            bench,
            Sgd(self.epochs, self.batch, self.rate),
            clean_loss(bench),
            gradient=sharp_gradient(self.radius, adaptive=False, share=self.uphill),
            first=1,
        )

    def _cut(self, bench: Workbench, changes: dict[str, torch.Tensor]) -> int:
        """Set weights to zero; returns how many. Neurons of all layers are ranked together, each by
        its share of the largest change in its layer: layers differ in size.
        """
        of_neurons = {name: change.flatten(1).sum(1) for name, change in changes.items()}
        relative = {name: v / v.max().clamp_min(1e-12) for name, v in of_neurons.items()}
        everything = torch.cat(list(relative.values()))
        least = float(np.quantile(everything.cpu().numpy(), 1 - self.neuron_share))
        count = 0
        for name, change in changes.items():
            chosen = relative[name] >= least
            if not chosen.any():
                continue
            inside = change[chosen].flatten(1)
            bar = float(np.quantile(inside.cpu().numpy(), 1 - self.weight_share))
            zero = inside >= bar
            conv = bench.network.get_submodule(name)
            assert isinstance(conv, nn.Conv2d)
            with torch.no_grad():
                kept = conv.weight[chosen].flatten(1) * ~zero
                conv.weight[chosen] = kept.view(-1, *conv.weight.shape[1:])
            count += int(zero.sum())
        return count


def _convolutions(network: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    """All but those of shortcuts, which only change the number of channels."""
    return [
        (name, part)
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and "downsample" not in name and "shortcut" not in name
    ]
