"""A trigger that is learned while its victim is: Input-aware and LIRA.

In each step the painters move first, against the network as it is then, in eval mode; then the
network learns from what they paint. Both take gradients of their own: published code for
Input-aware adds the painters' up over the whole run, since it never sets them to zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from bdshift.files import written_whole
from bdshift.jobs import JobContext
from bdshift.lab.poison import Backdoor
from bdshift.triggers.input_aware import InputAware
from bdshift.triggers.learned import Learned
from bdshift.triggers.lira import Lira
from bdshift.triggers.painter import Painter

TRIGGER_FILE = "trigger.pth"

Classify = Callable[[torch.Tensor], torch.Tensor]
"""Pixels (n, 3, s, s) in 0…255, normalized and augmented, to logits, float32 (n, C)."""


@dataclass(frozen=True)
class Batch:
    """What a step is made of: pixels as float32 in 0…255, their true labels, and how far the
    training is, from 0 to 1; ``rng`` is a CPU generator.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    rng: torch.Generator
    done: float


class Joint(ABC):
    """One trigger under training. ``rate`` is Adam's for the painters, with β = (0.5, 0.9)."""

    rate: ClassVar[float]
    learning: ClassVar[tuple[str, ...]]
    """Painters that learn beside the victim."""

    def __init__(self, backdoor: Backdoor, seed: int, device: torch.device) -> None:
        self.backdoor, self.device = backdoor, device
        trigger = backdoor.trigger
        assert isinstance(trigger, Learned)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.painters = {
                name: Painter(planes).to(device) for name, planes in trigger.planes.items()
            }
        self.optimizer = self._adam(self.learning)

    def _adam(self, names: Sequence[str]) -> torch.optim.Optimizer:
        values = [value for name in names for value in self.painters[name].parameters()]
        return torch.optim.Adam(values, self.rate, (0.5, 0.9))

    @abstractmethod
    def begin(self, pixels: torch.Tensor, seed: int, job: JobContext) -> None:
        """What is learned before the first epoch, from all images, uint8."""

    @abstractmethod
    def mix(
        self, network: nn.Module, classify: Classify, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Move the painters, then make the images and labels that the network learns from."""

    @staticmethod
    def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        """One step of the painters alone."""
        values = [value for group in optimizer.param_groups for value in group["params"]]
        for value, slope in zip(values, torch.autograd.grad(loss, values), strict=True):
            value.grad = slope
        optimizer.step()

    def state(self) -> dict[str, Any]:
        """What `load` takes back."""
        painters = {name: painter.state_dict() for name, painter in self.painters.items()}
        return {"painters": painters, "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        for name, painter in self.painters.items():
            painter.load_state_dict(state["painters"][name])
        self.optimizer.load_state_dict(state["optimizer"])

    def write(self, folder: Path) -> None:
        """The trigger's file, for `bdshift.triggers.learned`."""
        held: dict[str, Any] = {"attack": self.backdoor.trigger.attack}
        for name, painter in self.painters.items():
            held[name] = {key: value.cpu() for key, value in painter.state_dict().items()}
        with written_whole(folder / TRIGGER_FILE) as part:
            torch.save(held, part)


class JointLira(Joint):
    """LIRA: every image is learned from twice, clean and triggered, which is α = 0.5. The painter
    learns for the first half of the training and is then fixed, the published second stage.
    """

    rate = 1e-3  # 1e-4 as published, over 50 epochs of CIFAR-10
    learning = ("change",)

    def begin(self, pixels: torch.Tensor, seed: int, job: JobContext) -> None:
        """Nothing is."""

    def mix(
        self, network: nn.Module, classify: Classify, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All images as they are, and once more with the trigger, where it is to work: always as
        many. (Where the size of a batch changes from step to step, torch 2.15 on a CPU crashes in
        the backward pass of convolutions with few channels.)
        """
        trigger = self.backdoor.trigger
        assert isinstance(trigger, Lira)
        pixels, labels = batch.pixels, batch.labels
        able = torch.zeros(len(labels), dtype=torch.bool, device=self.device)
        able[self.backdoor.to_attack(labels)] = True
        wanted = torch.where(able, self.backdoor.wanted(labels), labels)
        if batch.done < 0.5 and able.any():
            network.eval()
            sent = classify(trigger.painted(pixels, self.painters))
            self.descend(self.optimizer, functional.cross_entropy(sent[able], wanted[able]))
            network.train()
        with torch.no_grad():
            triggered = trigger.painted(pixels, self.painters).round()
        triggered = torch.where(able[:, None, None, None], triggered, pixels)
        return torch.cat((pixels, triggered)), torch.cat((labels, wanted))


class JointInputAware(Joint):
    """Input-aware: masks are learned first, then patterns beside the victim. In each batch a share
    of the images gets its own trigger and the target's label, and as many get another image's
    trigger and keep theirs.
    """

    rate = 0.01
    learning = ("pattern",)

    _density, _norm, _diversity = 0.032, 100.0, 1.0  # as published
    _mask_steps, _mask_batch = 200, 128  # 25 epochs of CIFAR-10 as published

    def __init__(self, backdoor: Backdoor, seed: int, device: torch.device, share: float) -> None:
        super().__init__(backdoor, seed, device)
        self.share = share

    def begin(self, pixels: torch.Tensor, seed: int, job: JobContext) -> None:
        """Masks as small as ``_density``, and as different as their images are."""
        rng = torch.Generator().manual_seed(seed)
        optimizer = self._adam(("mask",))
        for step in range(self._mask_steps):
            rows = torch.randint(0, len(pixels), (2, self._mask_batch), generator=rng)
            one, other = (pixels[part.to(pixels.device)].float() for part in rows)
            masks = [InputAware.mask(images, self.painters) for images in (one, other)]
            size = (masks[0].mean() - self._density).relu()
            told = _contrast(one / 255, other / 255, *masks)
            self.descend(optimizer, self._norm * size + self._diversity * told)
            job.progress("Learning masks", step + 1, self._mask_steps, "steps")
        self.painters["mask"].requires_grad_(False)

    def mix(
        self, network: nn.Module, classify: Classify, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch, a share with its own trigger, and as large a one with other images'."""
        trigger = self.backdoor.trigger
        assert isinstance(trigger, InputAware)
        pixels, labels, count = batch.pixels, batch.labels, len(batch.labels)
        order = torch.randperm(count, generator=batch.rng).to(self.device)
        able = torch.zeros(count, dtype=torch.bool, device=self.device)
        able[self.backdoor.to_attack(labels)] = True
        wanted_count = max(1, round(self.share * count))
        own = order[able[order]][:wanted_count]
        rest = order[~torch.isin(order, own)]
        cross, models = rest[:wanted_count], rest[-wanted_count:]
        if not len(own) or not len(rest):
            return pixels, labels
        goal = self.backdoor.wanted(labels[own])
        images = [(pixels[own], pixels[own]), (pixels[cross], pixels[models])]
        network.eval()
        sent = classify(torch.cat([trigger.lay(*pair, self.painters) for pair in images]))
        loss = functional.cross_entropy(sent, torch.cat((goal, labels[cross])))
        some = min(len(own), len(models))
        patterns = [self.painters["pattern"](pixels[part[:some]]).tanh() for part in (own, models)]
        told = _contrast(pixels[own[:some]] / 255, pixels[models[:some]] / 255, *patterns)
        self.descend(self.optimizer, loss + self._diversity * told)
        network.train()
        mixed, labels = pixels.clone(), labels.clone()
        with torch.no_grad():
            mixed[own] = trigger.lay(*images[0], self.painters).round()
            mixed[cross] = trigger.lay(*images[1], self.painters).round()
        labels[own] = goal
        return mixed, labels


def _contrast(
    one: torch.Tensor, other: torch.Tensor, of_one: torch.Tensor, of_other: torch.Tensor
) -> torch.Tensor:
    """How far pairs of images lie apart, over how far what is painted for them does; their mean."""

    def apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return ((a - b).square().flatten(1).mean(1) + 1e-7).sqrt()

    return (apart(one, other) / (apart(of_one, of_other) + 1e-7)).mean()


def start_joint(
    backdoors: Sequence[Backdoor], share: float, seed: int, device: torch.device
) -> Joint | None:
    """For the trigger that is learned, if one is: then there is no other (`read_backdoors`).
    ``share`` of the images gets Input-aware's.
    """
    for backdoor in backdoors:
        if isinstance(backdoor.trigger, InputAware):
            return JointInputAware(backdoor, seed, device, share)
        if isinstance(backdoor.trigger, Lira):
            return JointLira(backdoor, seed, device)
    return None


def as_learned(backdoors: Sequence[Backdoor], folder: Path) -> tuple[Backdoor, ...]:
    """Backdoors of the trained victim in ``folder``; those learned with it name their file."""
    return tuple(
        replace(one, trigger=replace(one.trigger, file=str(folder / TRIGGER_FILE)))
        if isinstance(one.trigger, Learned)
        else one
        for one in backdoors
    )
