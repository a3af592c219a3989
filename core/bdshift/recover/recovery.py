"""What the recovery of a trigger found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from bdshift.changes import CHANGES, ChangeKind
from bdshift.neurons.tac import Tac

LEVELS = (0.5, 0.8, 0.95)
"""Attack success at which sizes are reported."""


@dataclass(frozen=True)
class SizeOf:
    """The smallest change found for a class, measured on images that the search did not use.

    Attributes:
        target: the class.
        sizes: smallest size at which it sends each share of `LEVELS` of the images of other classes
            there; infinite where it does not.
        asr: share that it sends there as it is.
    """

    target: int
    sizes: tuple[float, ...]
    asr: float

    @property
    def size(self) -> float:
        """At an attack success of 0.8."""
        return self.sizes[LEVELS.index(0.8)]


@dataclass(frozen=True)
class Attempt:
    """One kind of change, tried for the target and, with the same effort, for control classes.

    Attributes:
        kind: its text.
        target: the change toward the target.
        controls: those toward the control classes.
        seconds: wall time.
        forwards, backwards: images that went through the network, each way.
    """

    kind: str
    target: SizeOf
    controls: tuple[SizeOf, ...]
    seconds: float
    forwards: int
    backwards: int

    @property
    def drop(self) -> float:
        """log(median control size / size): how much smaller the target's change is. Infinite if no
        control class can be reached, −infinite if the target cannot, NaN if neither can.
        """
        ordered = sorted(one.size for one in self.controls)
        middle = ordered[len(ordered) // 2]
        if math.isinf(middle) and math.isinf(self.target.size):
            return math.nan
        return math.log(middle) - math.log(self.target.size)


@dataclass(frozen=True)
class Recovery:
    """A trigger that was recovered for one class.

    Attributes:
        target: the class.
        source: the only class that it was searched on; −1 for all.
        kind: text of the kind of change that won.
        attempts: every kind that was tried, in order.
        params: parameters of the change, by name (`ChangeKind`), float32.
        side: height and width of the images that it is for.
        asr: share of the images of other classes that were not used in the search which it sends
            to the target.
        images: number of those.
        transfer: the same for a change found on half of the classes, on images of the others;
            NaN if that was not tried.
        tac: its TAC on all clean images; the trigger in it is `trigger`.
        seed: of everything random.
        seconds: wall time.
    """

    target: int
    source: int
    kind: str
    attempts: tuple[Attempt, ...]
    params: dict[str, torch.Tensor]
    side: int
    asr: float
    images: int
    transfer: float
    tac: Tac
    seed: int
    seconds: float

    @property
    def attempt(self) -> Attempt:
        """That of the kind that won."""
        return next(one for one in self.attempts if one.kind == self.kind)

    @property
    def drop(self) -> float:
        """That of the kind that won."""
        return self.attempt.drop

    @property
    def change(self) -> ChangeKind:
        """The kind of change that won."""
        return CHANGES.parse(self.kind)

    @property
    def batched(self) -> dict[str, torch.Tensor]:
        """The parameters as those of one change (S = 1)."""
        return {key: value[None] for key, value in self.params.items()}
