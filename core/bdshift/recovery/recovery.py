"""What the recovery of a trigger found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.changes import CHANGES, ChangeKind, as_bytes
from bdshift.changes.change_file import AboutChange, SavedChange
from bdshift.neurons.tac import Tac
from bdshift.recovery.drop import drop, typical
from bdshift.spec import split_spec

LEVELS = (0.5, 0.8, 0.95)
"""Attack success at which sizes are reported."""

MAX_BESIDE = 3
"""Control classes whose changes are kept."""


@dataclass(frozen=True)
class SizeOf:
    """The smallest change found for a class, measured on images that the search did not use.

    Attributes:
        target: the class.
        sizes: smallest size at which it sends each share of `LEVELS` of the images of other classes
            there; infinite where it does not. NaN, which a file has for infinity, becomes infinite.
        asr: share that it sends there as it is.
    """

    target: int
    sizes: tuple[float, ...]
    asr: float

    def __post_init__(self) -> None:
        sizes = tuple(math.inf if math.isnan(size) else size for size in self.sizes)
        object.__setattr__(self, "sizes", sizes)

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
    def label(self) -> str:
        """Name of the kind, as a template; its text if this version does not know it."""
        name = split_spec(self.kind)[0]
        return CHANGES[name].label if name in CHANGES else self.kind

    @property
    def unit(self) -> str:
        """Unit of its sizes, as a template; empty if this version does not know the kind."""
        name = split_spec(self.kind)[0]
        return CHANGES[name].unit if name in CHANGES else ""

    def control_size(self, level: float) -> float:
        """Median size of the controls' changes at an attack success of ``level``, as
        `bdshift.recovery.drop.typical`; NaN without controls.
        """
        return typical(self._controls_at(level))

    @property
    def most_reached(self) -> bool:
        """Whether an attack success of 0.8 was reached for more than half of the controls. If not,
        the median of their sizes is no less than `control_size`.
        """
        sizes = self._controls_at(0.8)
        return 2 * int(np.isfinite(sizes).sum()) > len(sizes)

    @property
    def drop(self) -> float:
        """log(control size / size): how much smaller the target's change is. Infinite if no
        control class can be reached, −infinite if the target cannot, NaN if neither can, or
        there are no controls.
        """
        return drop(self.target.size, self._controls_at(0.8))

    def typical_controls(self, count: int) -> tuple[int, ...]:
        """Up to ``count`` control classes whose changes are nearest to the median in size, nearest
        first; those that were not reached come last.
        """
        middle = self.control_size(0.8)
        ordered = sorted(
            self.controls,
            key=lambda one: (
                abs(math.log(max(one.size, 1e-12) / middle))
                if math.isfinite(middle)
                else one.target
            ),
        )
        return tuple(one.target for one in ordered[:count])

    def _controls_at(self, level: float) -> NDArray[np.float64]:
        return np.array([one.sizes[LEVELS.index(level)] for one in self.controls])


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
        reverse: with a single source, the smallest change the other way, which sends images of the
            target to the source; None if it was not searched for.
        elsewhere: share of the images of all other classes than those two that it sends to the
            target; NaN without a single source.
        beside: up to `MAX_BESIDE` of the control classes, those whose changes are nearest to the
            median in size, so that those can be looked at, too.
        beside_params: parameters of the changes toward them, in the same order, by name, float32;
            the first dimension is that of ``beside``.
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
    reverse: SizeOf | None = None
    elsewhere: float = math.nan
    beside: tuple[int, ...] = ()
    beside_params: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def of(self) -> tuple[int, int, str]:
        """What an audit holds one recovery of: the target, the source and the kind."""
        return self.target, self.source, self.kind

    @property
    def attempt(self) -> Attempt:
        """That of the kind that won."""
        return next(one for one in self.attempts if one.kind == self.kind)

    @property
    def drop(self) -> float:
        """That of the kind that won."""
        return self.attempt.drop

    @property
    def is_known(self) -> bool:
        """Whether this version knows the kind of change that won: an audit file may be newer."""
        return split_spec(self.kind)[0] in CHANGES

    @property
    def label(self) -> str:
        """Name of the kind of change that won, as a template."""
        return self.attempt.label

    @property
    def unit(self) -> str:
        """Unit of its sizes, as a template; empty if this version does not know the kind."""
        return self.attempt.unit

    @property
    def change(self) -> ChangeKind:
        """The kind of change that won. Raises `UsageError` if this version does not know it."""
        return CHANGES.parse(self.kind, strict=False)

    @property
    def batched(self) -> dict[str, torch.Tensor]:
        """The parameters as those of one change (S = 1)."""
        return {key: value[None] for key, value in self.params.items()}

    def saved(self, class_name: str = "") -> SavedChange:
        """The change as a file holds it, with the name of its class if that is told."""
        about = AboutChange(self.kind, self.side, self.target, class_name, self.source)
        return SavedChange(about, self.params)

    def overlay(self) -> NDArray[np.uint8]:
        """Picture and opacity, uint8 (side, side, 4)."""
        return np.ascontiguousarray(as_bytes(self.change.overlay(self.batched)[0].permute(1, 2, 0)))

    def picture(self) -> NDArray[np.uint8]:
        """What the change looks like, uint8 (3, side, side)."""
        return as_bytes(self.change.picture(self.batched)[0])

    def strength(self) -> NDArray[np.uint8]:
        """How much the change does where, uint8 (side, side)."""
        return as_bytes(self.change.strength(self.batched)[0])

    def pictures_beside(self) -> dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """What the changes toward `beside` look like, uint8 (3, side, side), and how much they do
        where, uint8 (side, side), by class.
        """
        if not self.beside:
            return {}
        shown = as_bytes(self.change.picture(self.beside_params))
        where = as_bytes(self.change.strength(self.beside_params))
        return {one: (shown[i], where[i]) for i, one in enumerate(self.beside)}
