"""TSBD (Lin et al., 2024): zeroes the weights that unlearning the clean task moves most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from bdshift.errors import UsageError
from bdshift.purification import quantities as q
from bdshift.purification.ascent import unlearn, unlearn_epochs_setting, unlearn_rate_setting
from bdshift.purification.method import METHODS, Method, Step, Variant, variant_setting
from bdshift.purification.sharpness import sharp_gradient
from bdshift.purification.tuning import (
    Sgd,
    batch_setting,
    clean_loss,
    epochs_setting,
    held_out,
    rate_setting,
    tune,
)
from bdshift.purification.workbench import Workbench
from bdshift.setting import setting
from bdshift.words import words

_RATE_GROWTH = 1.25  # of the ascent, per epoch, so that it ends on any network
_PUBLISHED_ACCURACY = 0.1  # that ends the ascent


@METHODS.register
@dataclass(frozen=True)
class Tsbd(Method):
    """The clean task is unlearned by ascent. A neuron's weight change is Σ|Δw| over its kernel, in
    every convolution except those of shortcuts. Of the neurons that changed most, the weights that
    changed most are set to zero in the original network, which is then fine-tuned, with part of the
    gradient taken a little uphill.

    Attributes:
        unlearn_rate, unlearn_epochs: of the ascent.
        neuron_share: share of all neurons that are changed; 0.15 in the paper.
        weight_share: share of their weights; 0.7.
        epochs, rate, batch: of the fine-tuning; 20 epochs at 0.01.
        radius, uphill: how far uphill part of the gradient is taken, and how large that part is;
            0.05 and 0.7.
        form: "fixed" ends the ascent at the accuracy of guessing, with a rate that grows by a
            quarter per epoch. "reference" ends it at 10%, whatever the number of classes, and the
            rate stays constant, as in the published code, so that the epochs may run out first.
    """

    name = "tsbd"
    label = "TSBD"
    summary = words("Zeroes the weights that unlearning the clean task moves most, then tunes.",
                    ja="クリーンなタスクの忘却で最も動く重みをゼロにし、"
                       "微調整します。")  # fmt: skip
    place = 60
    table_rows = (("TSBD", "tsbd"),)
    published_rows = (("TSBD as published", "tsbd:form=reference,unlearn_epochs=1000"),)

    unlearn_rate: float = unlearn_rate_setting(1e-4)
    unlearn_epochs: int = unlearn_epochs_setting(60)
    neuron_share: float = setting(
        0.15, words("Share of neurons", ja="ニューロンの割合"),
        words("Neurons to change: those that unlearning changed most.",
              ja="対象とするニューロンの割合（忘却で最も変化したもの）。"),
        low=0, above=True, high=1, step=0.05, decimals=3,
        source=words("0.15 in the paper.", ja="論文では 0.15。"),
    )  # fmt: skip
    weight_share: float = setting(
        0.7, words("Share of weights", ja="重みの割合"),
        words("Of those neurons' weights, to set to zero.", ja="その中でゼロにする重みの割合。"),
        low=0, above=True, high=1, step=0.1, decimals=3,
        source=words("0.7 in the paper.", ja="論文では 0.7。"),
    )  # fmt: skip
    epochs: int = epochs_setting(20, words("20 in the paper.", ja="論文では 20。"))
    rate: float = rate_setting(0.01, words("0.01 in the paper.", ja="論文では 0.01。"))
    batch: int = batch_setting(128)
    radius: float = setting(
        0.05, words("Radius", ja="半径"),
        words("How far uphill part of the gradient is taken.",
              ja="勾配の一部をどれだけ上り方向で取るか。"),
        low=0, above=True, high=1_000_000, step=0.01, decimals=3,
        source=words("0.05 in the paper.", ja="論文では 0.05。"),
    )  # fmt: skip
    uphill: float = setting(
        0.7, words("Uphill part", ja="上りの割合"),
        words("Of the gradient.", ja="勾配のうちの割合。"),
        low=0, high=1, step=0.1, decimals=2, source=words("0.7 in the paper.", ja="論文では 0.7。"),
    )  # fmt: skip
    form: Variant = variant_setting(
        words("fixed ends the unlearning at the accuracy of guessing, with a growing rate; "
              "reference at 10%, with a constant rate.",
              ja="fixed は学習率を上げながらランダム推測の正解率で忘却を終え、"
                 "reference は一定の学習率で 10% で終えます。")
    )  # fmt: skip

    @property
    def total(self) -> int:
        """Steps at most."""
        return 1 + self.epochs

    def steps(self, bench: Workbench) -> Iterator[Step]:
        """Unlearn, set to zero, tune."""
        if not _convolutions(bench.network):
            raise UsageError("tsbd: the network has no convolutions")
        if "cut" not in bench.state:
            original = {k: v.detach().clone() for k, v in bench.network.state_dict().items()}
            fixed = self.form == "fixed"
            reached = unlearn(
                bench,
                self.unlearn_rate,
                self.batch,
                1 / bench.head.out_features if fixed else _PUBLISHED_ACCURACY,
                self.unlearn_epochs,
                grow=_RATE_GROWTH if fixed else 1.0,
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
            figures |= {q.CUT: float(gone), q.UNLEARNED_ACCURACY: reached}
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
        its change relative to the largest in its layer, since layers differ in size.
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
    """All convolutions except those of shortcuts, which only change the number of channels."""
    return [
        (name, part)
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and "downsample" not in name and "shortcut" not in name
    ]
