"""Input-aware (Nguyen and Tran, 2020): each image gets its own pattern and place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from bdshift.jobs import JobContext
from bdshift.triggers.base import TRIGGERS
from bdshift.triggers.joint import Classify, Goal, JointTraining, TrainingStep
from bdshift.triggers.learned import Learned
from bdshift.triggers.painter import Painter
from bdshift.words import words

_SHARPNESS = 20  # of the mask's edge, as published


@TRIGGERS.register
@dataclass(frozen=True)
class InputAware(Learned):
    """x' = (1 − m)·x + m·p, where p = 127.5·(1 + tanh(pattern(x))) and m = σ(20·tanh(mask(x)))."""

    name = "input-aware"
    label = words(
        "Each image its own pattern (Input-aware)", ja="画像ごとに固有のパターン（Input-aware）"
    )
    summary = words("Overlays each image with a pattern that networks have learned to paint for "
                    "it.",
                    ja="ネットワークが画像ごとに描くパターンを重ねます。")  # fmt: skip
    place = 50
    planes: ClassVar[Mapping[str, int]] = {"pattern": 3, "mask": 1}

    def painted(self, pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Lay each image's own pattern over it."""
        return self.lay(pixels, pixels, painters)

    def lay(
        self, pixels: torch.Tensor, model: torch.Tensor, painters: Mapping[str, Painter]
    ) -> torch.Tensor:
        """The trigger for the images ``model``, on ``pixels``: on other images it must not work."""
        pattern = 127.5 * (1 + painters["pattern"](model).tanh())
        return pixels.lerp(pattern, self.mask(model, painters))

    @staticmethod
    def mask(pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Where each image's trigger shows, (n, 1, H, W) in 0…1."""
        return (_SHARPNESS * painters["mask"](pixels).tanh()).sigmoid()

    def trained_for(
        self, goal: Goal, share: float, seed: int, device: torch.device
    ) -> JointTraining:
        """A ``share`` of each batch gets the trigger."""
        return InputAwareTraining(self, goal, share, seed, device)


class InputAwareTraining(JointTraining):
    """Masks are learned first, then patterns along with the victim. In each batch, a share of the
    images gets its own trigger and the target's label, and the same number get another image's
    trigger and keep their labels.
    """

    rate = 0.01
    learning = ("pattern",)

    _density, _norm, _diversity = 0.032, 100.0, 1.0  # as published
    _mask_steps, _mask_batch = 200, 128  # 25 epochs of CIFAR-10 as published

    def __init__(
        self, trigger: InputAware, goal: Goal, share: float, seed: int, device: torch.device
    ) -> None:
        super().__init__(dict(trigger.planes), goal, share, seed, device)
        self.trigger = trigger

    def begin(self, pixels: torch.Tensor, seed: int, job: JobContext) -> None:
        """Learn masks as small as ``_density``, and as different as their images."""
        rng = torch.Generator().manual_seed(seed)
        optimizer = self.adam(("mask",))
        for step in range(self._mask_steps):
            rows = torch.randint(0, len(pixels), (2, self._mask_batch), generator=rng)
            one, other = (pixels[part.to(pixels.device)].float() for part in rows)
            masks = [InputAware.mask(images, self.painters) for images in (one, other)]
            size = (masks[0].mean() - self._density).relu()
            difference = _contrast(one / 255, other / 255, *masks)
            self.descend(optimizer, self._norm * size + self._diversity * difference)
            job.progress("Learning masks", step + 1, self._mask_steps, "steps")
        self.painters["mask"].requires_grad_(False)

    def mix(
        self, network: nn.Module, classify: Classify, step: TrainingStep
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch: a share with its own trigger, and an equal share with other images'."""
        pixels, labels, count = step.pixels, step.labels, len(step.labels)
        order = torch.randperm(count, generator=step.rng).to(self.device)
        wanted_count = max(1, round(self.share * count))
        own = order[self.able(labels)[order]][:wanted_count]
        rest = order[~torch.isin(order, own)]
        cross = rest[:wanted_count]
        models = rest[-wanted_count:] if len(rest) > wanted_count else rest.roll(1)
        if not len(own) or not len(rest):
            return pixels, labels
        goal = self.goal.wanted(labels[own])
        images = [(pixels[own], pixels[own]), (pixels[cross], pixels[models])]
        network.eval()
        sent = classify(torch.cat([self.trigger.lay(*pair, self.painters) for pair in images]))
        loss = functional.cross_entropy(sent, torch.cat((goal, labels[cross])))
        some = min(len(own), len(models))
        patterns = [self.painters["pattern"](pixels[part[:some]]).tanh() for part in (own, models)]
        difference = _contrast(pixels[own[:some]] / 255, pixels[models[:some]] / 255, *patterns)
        self.descend(self.optimizer, loss + self._diversity * difference)
        network.train()
        mixed, labels = pixels.clone(), labels.clone()
        with torch.no_grad():
            mixed[own] = self.trigger.lay(*images[0], self.painters).round()
            mixed[cross] = self.trigger.lay(*images[1], self.painters).round()
        labels[own] = goal
        return mixed, labels


def _contrast(
    one: torch.Tensor, other: torch.Tensor, of_one: torch.Tensor, of_other: torch.Tensor
) -> torch.Tensor:
    """The distance between paired images divided by that between their triggers; the mean."""

    def apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return ((a - b).square().flatten(1).mean(1) + 1e-7).sqrt()

    return (apart(one, other) / (apart(of_one, of_other) + 1e-7)).mean()
