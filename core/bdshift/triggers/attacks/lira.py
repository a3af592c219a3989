"""LIRA (Doan et al., 2021): a faint change of every pixel, learned together with the victim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS
from bdshift.triggers.joint import Classify, Goal, JointTraining, TrainingStep
from bdshift.triggers.learned import Learned
from bdshift.triggers.painter import Painter
from bdshift.words import words


@TRIGGERS.register
@dataclass(frozen=True)
class Lira(Learned):
    """x' = x + 255·``epsilon``·tanh(paint(x)).

    Attributes:
        file: as in `Learned`.
        epsilon: largest change of a pixel, as a share of 255; 0.1 and then 0.01 in the paper's
            instructions, 0.01 throughout in BackdoorBench.
    """

    name = "lira"
    label = words("Learned faint change (LIRA)", ja="学習されたわずかな変化（LIRA）")
    summary = words("Changes every pixel a little, as a network has learned to.",
                    ja="ネットワークが学習したとおりに、"
                       "全ピクセルをわずかに変えます。")  # fmt: skip
    place = 60
    planes: ClassVar[Mapping[str, int]] = {"change": 3}

    epsilon: float = setting(
        0.05, words("Largest change", ja="最大の変化"),
        words("Of a pixel, as a share of 255.", ja="ピクセルの変化の上限（255 に対する割合）。"),
        low=0, above=True, high=1, decimals=3, step=0.01,
        source=words("0.1 and then 0.01 in the paper's instructions, 0.01 in BackdoorBench.",
                     ja="論文の手順では 0.1 のあと 0.01、BackdoorBench では 0.01。"),
    )  # fmt: skip

    def painted(self, pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Add the change."""
        return (pixels + 255 * self.epsilon * painters["change"](pixels).tanh()).clamp(0, 255)

    def trained_for(
        self, goal: Goal, share: float, seed: int, device: torch.device
    ) -> JointTraining:
        """Every image is learned from with the trigger, whatever ``share`` says."""
        return LiraTraining(self, goal, share, seed, device)


class LiraTraining(JointTraining):
    """Every image is learned from twice, clean and triggered, which is α = 0.5. The painter learns
    during the first half of training and is then fixed, as in the published second stage.
    """

    rate = 1e-3  # 1e-4 as published, over 50 epochs of CIFAR-10
    learning = ("change",)

    def __init__(
        self, trigger: Lira, goal: Goal, share: float, seed: int, device: torch.device
    ) -> None:
        super().__init__(dict(trigger.planes), goal, share, seed, device)
        self.trigger = trigger

    def mix(
        self, network: nn.Module, classify: Classify, step: TrainingStep
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All images as they are, and once more with the trigger where it should work: always the
        same number. (If the size of a batch changes from step to step, torch 2.15 on a CPU crashes
        in the backward pass of convolutions with few channels.)
        """
        pixels, labels = step.pixels, step.labels
        able = self.able(labels)
        wanted = torch.where(able, self.goal.wanted(labels), labels)
        if step.done < 0.5 and able.any():
            network.eval()
            sent = classify(self.trigger.painted(pixels, self.painters))
            self.descend(self.optimizer, functional.cross_entropy(sent[able], wanted[able]))
            network.train()
        with torch.no_grad():
            triggered = self.trigger.painted(pixels, self.painters).round()
        triggered = torch.where(able[:, None, None, None], triggered, pixels)
        return torch.cat((pixels, triggered)), torch.cat((labels, wanted))
