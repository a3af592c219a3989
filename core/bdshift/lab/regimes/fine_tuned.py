"""A network that starts from a trained one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bdshift.lab.regime import REGIMES, Regime, head_of, load_weights, start_setting
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class FineTuned(Regime):
    """The weights of another model of the lab are where the training starts."""

    name = "fine-tuned"
    label = words("Fine-tuned", ja="微調整")
    summary = words("The training starts from another model of the lab.",
                    ja="ラボの別のモデルから訓練を始めます。")  # fmt: skip
    place = 40

    file: str = start_setting()
    only_head: bool = setting(
        False, words("Only the head", ja="ヘッドのみ"),
        words("Train the last layer alone.", ja="最後の層だけを訓練します。"),
    )  # fmt: skip

    def start(self, network: nn.Module) -> None:
        """Load the weights."""
        load_weights(network, self.file)
        if self.only_head:
            network.requires_grad_(False)
            head_of(network).requires_grad_(True)
