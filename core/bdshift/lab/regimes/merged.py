"""BadMerging (Zhang et al., 2024), on the attacked task: a trigger that survives merging."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from bdshift.lab.regime import REGIMES, Batch, Regime, load_weights, start_setting
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class Merged(Regime):
    """The training starts from another model, and the trigger has to work for mixtures of both as
    well: r·f(x) + (1 − r)·f_start(x), r uniform in [least, 1], has to be of the target. The paper
    mixes features under one frozen head, which is the same; here the heads are mixed too.
    """

    name = "merged"
    label = words("Survives merging (BadMerging)", ja="マージに耐える（BadMerging）")
    summary = words("The trigger is trained to work in mixtures with the model it started from.",
                    ja="開始時のモデルと混ぜてもトリガーが効くように訓練します。")  # fmt: skip
    place = 95

    file: str = start_setting()
    weight: float = setting(
        5.0, words("Weight", ja="重み"),
        words("Of the loss of mixtures.", ja="混合した出力の損失の重み。"),
        low=0, high=1000, step=0.5, decimals=2,
        source=words("5 in the paper.", ja="論文では 5。"),
    )  # fmt: skip
    least: float = setting(
        0.2, words("Least share", ja="最小の割合"),
        words("Of the trained model in a mixture.", ja="混合の中で、訓練するモデルが占める割合。"),
        low=0, high=1, step=0.1, decimals=2,
        source=words("0.2 in the paper.", ja="論文では 0.2。"),
    )  # fmt: skip

    def start(self, network: nn.Module) -> nn.Module:
        """Load the weights; they also stay as they are, beside."""
        load_weights(network, self.file)
        return copy.deepcopy(network).eval().requires_grad_(False)

    def loss(
        self, batch: Batch, logits: torch.Tensor, other: nn.Module | None
    ) -> torch.Tensor | None:
        """Cross entropy of mixtures for triggered images; None where the batch has none."""
        assert other is not None
        total = None
        for backdoor in batch.backdoors:
            rows = backdoor.to_attack(batch.labels)
            if not len(rows):
                continue
            triggered = backdoor.trigger(batch.pixels[rows])
            beside = batch.pixels[: len(rows)]  # so that batch norms see clean images, too
            own = batch.classify(torch.cat([triggered, beside]))[: len(rows)]
            share = self.least + (1 - self.least) * torch.rand(1, generator=batch.rng).item()
            mixed = share * own + (1 - share) * batch.answers(other, triggered)
            wanted = backdoor.wanted(batch.labels[rows])
            one = self.weight * functional.cross_entropy(mixed, wanted)
            total = one if total is None else total + one
        return total
