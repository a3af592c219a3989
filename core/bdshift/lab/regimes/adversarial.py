"""Adversarial training (Wong et al., 2020): one signed step from a random start."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from bdshift.lab.regime import REGIMES, Batch, Regime
from bdshift.setting import setting
from bdshift.words import words

_STEP = 1.25  # of ε, as published


@REGIMES.register
@dataclass(frozen=True)
class Adversarial(Regime):
    """Every image of a step is first moved within ±``epsilon`` to where the loss is larger."""

    name = "adversarial"
    label = words("Adversarial training", ja="敵対的訓練")
    summary = words("Every image is first changed a little to where the loss is larger (FGSM from "
                    "a random start).",
                    ja="各画像を、損失が大きくなる方へ少し変えてから訓練します（ランダムな点からの "
                       "FGSM）。")  # fmt: skip
    place = 50

    epsilon: float = setting(
        4.0, words("ε", ja="ε"),
        words("Largest change of a pixel, in 0 to 255.", ja="ピクセル値（0〜255）の最大の変化。"),
        low=0, above=True, high=255, decimals=1,
    )  # fmt: skip

    def change_batch(self, batch: Batch) -> torch.Tensor:
        """Move the images."""
        noise = torch.rand(batch.pixels.shape, generator=batch.rng).to(batch.pixels.device)
        moved = ((2 * noise - 1) * self.epsilon).requires_grad_()
        logits = batch.classify((batch.pixels + moved).clamp(0, 255))
        loss = functional.cross_entropy(logits, batch.labels)
        (slope,) = torch.autograd.grad(loss, [moved])
        moved = (moved.detach() + _STEP * self.epsilon * slope.sign()).clamp(
            -self.epsilon, self.epsilon
        )
        return (batch.pixels + moved).clamp(0, 255)
