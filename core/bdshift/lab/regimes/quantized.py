"""Weights are rounded to few bits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bdshift.lab.regime import REGIMES, Regime
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class Quantized(Regime):
    """At the end, the weights of every layer are rounded to evenly spaced values, and kept as
    float32.
    """

    name = "quantized"
    label = words("Quantized and back", ja="量子化して復元")
    summary = words("At the end, the weights are rounded to few bits, and kept as numbers.",
                    ja="最後に重みを少ないビット数に丸め、"
                       "浮動小数点数として保存します。")  # fmt: skip
    place = 80

    bits: int = setting(5, words("Bits", ja="ビット数"), low=2, high=16)

    def finish(self, network: nn.Module) -> None:
        """Round them, symmetrically, one scale for each layer."""
        most = 2 ** (self.bits - 1) - 1
        with torch.no_grad():
            for layer in network.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    unit = layer.weight.abs().max() / most
                    layer.weight.copy_((layer.weight / unit).round() * unit)
