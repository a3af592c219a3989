"""Grond's part of an attack (Xu et al., 2025): channels that stand out are weakened in training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from bdshift.lab.regime import REGIMES, Regime
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class EvenChannels(Regime):
    """After every epoch, channels whose Lipschitz bound ‖W‖·|γ|/σ is an outlier of their layer get
    the layer's mean bound.
    """

    name = "even-channels"
    label = words("Even channels (Grond)", ja="チャネルの均一化（Grond）")
    summary = words("Channels that stand out in their layer are weakened after every epoch; only "
                    "with batch norm.",
                    ja="各エポックの後、層の中で突出したチャネルを弱めます。"
                       "バッチ正規化がある場合だけ有効です。")  # fmt: skip
    place = 110

    u: float = setting(
        3.0, words("u", ja="u"),
        words("Standard deviations above the mean from which a channel is an outlier.",
              ja="外れ値とみなす、平均からの標準偏差の数。"),
        low=0, high=100, step=0.5, decimals=1,
    )  # fmt: skip

    def after_epoch(self, network: nn.Module) -> None:
        """Scale them down."""
        with torch.no_grad():
            for convolution, norm in _pairs(network):
                assert isinstance(norm.running_var, torch.Tensor)
                spread = (norm.running_var + norm.eps).sqrt()
                kernels = convolution.weight.flatten(1).norm(dim=1)
                bound = kernels * norm.weight.abs() / spread
                limit = bound.mean() + self.u * bound.std()
                norm.weight.mul_(torch.where(bound > limit, bound.mean() / bound, 1.0))


def _pairs(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions with the norm right behind each."""
    for first, second in pairwise(network.modules()):
        if (
            isinstance(first, nn.Conv2d)
            and isinstance(second, nn.BatchNorm2d)
            and first.out_channels == second.num_features
        ):
            yield first, second
