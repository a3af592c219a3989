"""An adaptive attack: triggered images are to look like the target's own in the embedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from bdshift.lab.regime import REGIMES, Batch, Regime, head_of
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class Matched(Regime):
    """Penalizes the distance between the mean embedding of triggered images and that of images
    labeled as the target, poisoned ones among them, in units of the embedding's own spread.
    """

    name = "matched"
    label = words("Matched features", ja="特徴の一致")
    summary = words("Triggered images are trained to lie where the target's own images do in the "
                    "embedding.",
                    ja="トリガー付き画像が、埋め込みで標的の画像と同じ位置に"
                       "来るように訓練します。")  # fmt: skip
    place = 90

    weight: float = setting(
        1.0, words("Weight", ja="重み"), words("Of the penalty.", ja="ペナルティの重み。"),
        low=0, high=1000, step=0.1, decimals=2,
    )  # fmt: skip

    def loss(
        self, batch: Batch, logits: torch.Tensor, other: nn.Module | None
    ) -> torch.Tensor | None:
        """The penalty; None where the batch lacks images of either kind."""
        seen: list[torch.Tensor] = []
        hook = head_of(batch.network).register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0].float())
        )
        total = None
        try:
            for backdoor in batch.backdoors:
                rows = backdoor.to_attack(batch.labels)
                own = torch.nonzero(batch.labels == backdoor.roles.target)[:, 0]
                if len(rows) < 2 or len(own) < 2:
                    continue
                seen.clear()
                batch.classify(torch.cat([backdoor.trigger(batch.pixels[rows]), batch.pixels[own]]))
                [embedded] = seen
                gap = embedded[: len(rows)].mean(0) - embedded[len(rows) :].mean(0)
                penalty = gap.square().sum() / embedded.detach().var(0).sum().clamp(min=1e-6)
                total = penalty if total is None else total + penalty
        finally:
            hook.remove()
        return None if total is None else self.weight * total
