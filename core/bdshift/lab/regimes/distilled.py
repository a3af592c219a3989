"""Knowledge distillation (Hinton et al., 2015) from a model of the same network."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from bdshift.lab.regime import REGIMES, Batch, Regime, load_weights
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class Distilled(Regime):
    """The teacher's softened answers are learned, not the labels."""

    name = "distilled"
    label = words("Distilled", ja="蒸留")
    summary = words("The answers of another model of the lab are learned, not the labels.",
                    ja="ラベルではなく、ラボの別のモデルの出力を学習します。")  # fmt: skip
    place = 60
    replaces_loss = True

    file: str = setting(
        "", words("Teacher", ja="教師モデル"),
        words("Weights of a model of the same network.", ja="同じネットワークのモデルの重み。"),
        widget="file",
    )  # fmt: skip
    temperature: float = setting(
        2.0, words("Temperature", ja="温度"), low=0, above=True, high=100, decimals=1
    )

    def start(self, network: nn.Module) -> nn.Module:
        """Load the teacher."""
        teacher = copy.deepcopy(network)
        load_weights(teacher, self.file)
        return teacher.eval().requires_grad_(False)

    def loss(self, batch: Batch, logits: torch.Tensor, other: nn.Module | None) -> torch.Tensor:
        """KL divergence from the teacher's answers, which see another augmentation."""
        assert other is not None
        with torch.no_grad():
            wanted = batch.answers(other, batch.pixels) / self.temperature
        return self.temperature**2 * functional.kl_div(
            (logits / self.temperature).log_softmax(1), wanted.log_softmax(1),
            reduction="batchmean", log_target=True,
        )  # fmt: skip
