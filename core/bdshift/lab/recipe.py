"""How a victim is trained: every setting that decides the outcome, beside the images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bdshift.errors import UsageError
from bdshift.lab.poison import Backdoor, read_backdoors

DEPTHS = 18, 50
"""Of the ResNets that there are."""

_LEAST = {"epochs": 1, "batch": 2, "width": 1, "shift": 0, "seed": 0}


def _one_cycle(progress: float) -> float:
    warm = 0.25
    return min(progress / warm, (1 - progress) / (1 - warm))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "one-cycle": _one_cycle,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
}
"""Share of the peak learning rate after a share of all steps, in [0, 1]."""


@dataclass(frozen=True)
class Recipe:
    """All of them.

    Attributes:
        attack: a trigger's text, or several (`bdshift.lab.poison`), or empty for a clean model.
        target: name of the class that triggered images are sent to.
        labels, source: which images are poisoned, and how their labels change.
        rate: share of the images that are poisoned, by each trigger: of all, or of the one class
            that one-to-one and clean labels poison. LIRA has none, it triggers all that it sees.
        cover: share that WaNet's noise mode is put on.
        depth: 18 or 50, of the ResNet.
        width: of its first stage; 64 is the usual one.
        epochs, batch, peak_rate, weight_decay: of SGD with Nesterov momentum 0.9.
        schedule: the learning rate rises for a quarter of all steps and falls for the rest, both
            linearly ("one-cycle"), or falls from the start along a cosine ("cosine").
        normalization: as `parse_normalization` reads it.
        shift: random translation in pixels, each image its own.
        flip: random mirroring (not for signs: left and right differ).
        seed: of everything random.
    """

    attack: str = ""
    target: str = ""
    labels: str = "all-to-one"
    source: str = ""
    rate: float = 0.1
    cover: float = 0.2
    width: int = 16
    epochs: int = 12
    batch: int = 256
    peak_rate: float = 0.2
    weight_decay: float = 5e-4
    schedule: str = "one-cycle"
    normalization: str = "half"
    shift: int = 2
    flip: bool = False
    seed: int = 0
    depth: int = 18

    def check(self) -> None:
        """Raise `UsageError` for settings that are out of range."""
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule is one of {', '.join(SCHEDULES)}, not {self.schedule!r}")
        if self.depth not in DEPTHS:
            raise UsageError(f"depth is {' or '.join(map(str, DEPTHS))}, not {self.depth}")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {least} or more, not {getattr(self, name)}")
        if not (0 <= self.rate <= 1 and 0 <= self.cover <= 1):
            raise UsageError("rate and cover are shares from 0 to 1")
        if not 0 < self.peak_rate < math.inf:
            raise UsageError(f"peak_rate is positive, not {self.peak_rate}")
        if self.target and not self.attack:
            raise UsageError("a target is for an attack (--attack); without one, leave it out")
        if self.attack and not self.target and self.labels != "all-to-all":
            raise UsageError("an attack needs a class to send images to (--target)")

    def backdoors(self, class_names: tuple[str, ...]) -> tuple[Backdoor, ...]:
        """What is put into the victim; raises as `read_backdoors`."""
        return read_backdoors(self.attack, self.labels, self.target, self.source, class_names)


FAST = Recipe()
PAPER = Recipe(width=64, epochs=100, batch=128, peak_rate=0.1, schedule="cosine")
"""SGD of 0.1 over 100 epochs; the paper says no more of its schedule."""
RECIPES = {"fast": FAST, "paper": PAPER}
