"""Trains a trigger while its victim is trained.

In each step the painters move first, against the network in its current state and in eval mode;
then the network learns from what they paint. Each takes its own gradients: the published code for
Input-aware accumulates the painters' over the whole run, since it never sets them to zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from bdshift.jobs import JobContext
from bdshift.outputs import Output
from bdshift.triggers.painter import Painter

Classify = Callable[[torch.Tensor], torch.Tensor]
"""From pixels (n, 3, s, s) in 0…255 to logits, float32 (n, C); normalizes and augments first."""


class Goal(Protocol):
    """Which images the trigger must work on, and what they should be classified as."""

    def to_attack(self, labels: torch.Tensor) -> torch.Tensor:
        """Rows of ``labels``, int64 (n,), that it must work on."""
        ...

    def wanted(self, labels: torch.Tensor) -> torch.Tensor:
        """The classes that triggered images of ``labels`` should be classified as."""
        ...


@dataclass(frozen=True)
class TrainingStep:
    """What a step works on: pixels as float32 in 0…255, their true labels, and how far training has
    come, from 0 to 1; ``rng`` is a CPU generator.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    rng: torch.Generator
    done: float


class JointTraining(ABC):
    """One trigger in training. ``rate`` is that of Adam on the painters, with β = (0.5, 0.9)."""

    rate: ClassVar[float]
    learning: ClassVar[tuple[str, ...]]
    """Painters that learn along with the victim."""

    def __init__(
        self, planes: dict[str, int], goal: Goal, share: float, seed: int, device: torch.device
    ) -> None:
        """``planes`` of each painter, by name; ``share`` of the images gets the trigger."""
        self.goal, self.share, self.device = goal, share, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.painters = {name: Painter(count).to(device) for name, count in planes.items()}
        self.optimizer = self.adam(self.learning)

    def adam(self, names: Sequence[str]) -> torch.optim.Optimizer:
        """An optimizer for some painters."""
        values = [value for name in names for value in self.painters[name].parameters()]
        return torch.optim.Adam(values, self.rate, (0.5, 0.9))

    def begin(self, pixels: torch.Tensor, seed: int, job: JobContext) -> None:  # noqa: B027
        """Learn from all images, uint8, before the first epoch; usually nothing."""

    @abstractmethod
    def mix(
        self, network: nn.Module, classify: Classify, step: TrainingStep
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Move the painters, then make the images and labels that the network learns from."""

    @staticmethod
    def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        """One step for the painters alone."""
        values = [value for group in optimizer.param_groups for value in group["params"]]
        for value, slope in zip(values, torch.autograd.grad(loss, values), strict=True):
            value.grad = slope
        optimizer.step()

    def able(self, labels: torch.Tensor) -> torch.Tensor:
        """Where the trigger must work, bool (n,)."""
        found = torch.zeros(len(labels), dtype=torch.bool, device=self.device)
        found[self.goal.to_attack(labels)] = True
        return found

    def state(self) -> dict[str, Any]:
        """What `load` restores."""
        painters = {name: painter.state_dict() for name, painter in self.painters.items()}
        return {"painters": painters, "optimizer": self.optimizer.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        for name, painter in self.painters.items():
            painter.load_state_dict(state["painters"][name])
        self.optimizer.load_state_dict(state["optimizer"])

    def write(self, path: Path, attack: str) -> None:
        """The trigger's file, for `bdshift.triggers.learned`. Raises as `Output.written` does."""
        held: dict[str, Any] = {"attack": attack}
        for name, painter in self.painters.items():
            held[name] = {key: value.cpu() for key, value in painter.state_dict().items()}
        buffer = BytesIO()  # torch does not survive a full disk
        torch.save(held, buffer)
        Output(path, overwrite=True).write(buffer.getbuffer())
