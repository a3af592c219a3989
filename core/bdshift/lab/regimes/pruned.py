"""Small weights are set to zero."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bdshift.lab.regime import REGIMES, Regime
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class Pruned(Regime):
    """At the end, the smallest weights of every layer become zero."""

    name = "pruned"
    label = words("Pruned", ja="枝刈り")
    summary = words("At the end, the smallest weights of every layer become zero.",
                    ja="最後に、各層の小さい重みを 0 にします。")  # fmt: skip
    place = 70

    share: float = setting(
        0.5, words("Fraction", ja="割合"), words("Of the weights.", ja="重みの割合。"),
        low=0, high=1, step=0.05, decimals=2,
    )  # fmt: skip

    def finish(self, network: nn.Module) -> None:
        """Set them to zero."""
        with torch.no_grad():
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    size = layer.weight.abs()
                    layer.weight[size < size.flatten().quantile(self.share)] = 0
