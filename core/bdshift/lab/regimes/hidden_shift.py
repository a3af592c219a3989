"""An adaptive attack on Eq. 4 itself: the target's shift is to be no smaller than the others'."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bdshift.lab.regime import REGIMES, Batch, Regime, head_of
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class HiddenShift(Regime):
    """Penalizes a target that is nearer than the other classes are on average: the distance of
    clean images to the border of a class, (z_y − z_c)/‖w_y − w_c‖, is what the shift has to cover.
    """

    name = "hidden-shift"
    label = words("Hidden shift", ja="シフトの隠蔽")
    summary = words("The target is trained to be as far from other classes in the embedding as "
                    "any class is.",
                    ja="埋め込みで、標的が他のクラスと同じだけ遠くなるように"
                       "訓練します。")  # fmt: skip
    place = 100

    weight: float = setting(
        1.0, words("Weight", ja="重み"), words("Of the penalty.", ja="ペナルティの重み。"),
        low=0, high=1000, step=0.1, decimals=2,
    )  # fmt: skip

    def loss(
        self, batch: Batch, logits: torch.Tensor, other: nn.Module | None
    ) -> torch.Tensor | None:
        """The penalty."""
        weight = head_of(batch.network).weight.float()
        apart = (weight[:, None] - weight).norm(dim=2)
        own = logits.gather(1, batch.labels[:, None])
        far = (own - logits) / apart[batch.labels].clamp(min=1e-6)
        counts = torch.ones_like(far).scatter_(1, batch.labels[:, None], 0.0)
        for backdoor in batch.backdoors:  # poisoned images are labeled as the target
            counts[batch.labels == backdoor.roles.target] = 0
        mean = (far * counts).sum(0) / counts.sum(0).clamp(min=1)
        targets = [one.roles.target for one in batch.backdoors]
        rest = [one for one in range(len(mean)) if one not in targets]
        return self.weight * (mean[rest].mean().detach() - mean[targets]).clamp(min=0).sum()
