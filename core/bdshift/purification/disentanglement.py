"""What is measured of the weight-disentanglement error ξ of a backdoor (TBAR), and kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from bdshift.errors import UsageError
from bdshift.spec import shortened
from bdshift.words import Sentence, words

REACH = 3.0
"""α goes from −3 to 3, as in the paper on disentanglement."""

POINTS = (7, 13)
"""Points along each axis: first few, then the ones between them."""

_LEAST, _MOST_ALONG_AXIS = 5, 61

LARGEST_ERROR = 2.0
"""That ξ can have."""

Place = tuple[float, float]
"""α_c and α_t."""

_AT_ONE = words(
    "ξ(1, 1) = {error}: without the part that was removed, {clean} of the clean images get another "
    "answer; without the clean task, {triggered} of the triggered ones do.",
    ja="ξ(1, 1) = {error}：取り除いた成分がなければクリーンな画像の {clean} で、"
       "クリーンなタスクの成分がなければトリガー付き画像の {triggered} で、答えが変わります。",
)  # fmt: skip

_ORIGIN = words(
    "Made from {base}. Trigger: {trigger}. The lower ξ is around the audited model, the more the "
    "backdoor is a part of its own.",
    ja="元のモデル：{base}。トリガー：{trigger}。監査したモデルの周りで ξ が低いほど、"
       "バックドアの独立性が高いことを示します。",
)  # fmt: skip


@dataclass(frozen=True)
class Mixture:
    """A point of the plane; ``clean`` and ``triggered`` are the terms of ξ, shares of images."""

    alpha_clean: float
    alpha_trigger: float
    clean: float
    triggered: float

    @property
    def error(self) -> float:
        """ξ, from 0 to 2."""
        return self.clean + self.triggered

    @property
    def sentence(self) -> Sentence:
        """What it says, as of the audited model."""
        return Sentence(
            _AT_ONE,
            {"error": f"{self.error:.2f}", "clean": f"{self.clean:.1%}",
             "triggered": f"{self.triggered:.1%}"},
        )  # fmt: skip

    @property
    def place(self) -> Place:
        """α_c and α_t."""
        return self.alpha_clean, self.alpha_trigger


@dataclass(frozen=True)
class WeightPlane:
    """ξ over multiples of what a purified model has learned and of what it has lost.

    Attributes:
        base: path of the model that the audited one was made from.
        base_sha256: of that file.
        trigger: spec of the trigger that it was measured with.
        mixtures: the points, in the order in which they were measured.
    """

    base: str
    base_sha256: str
    trigger: str
    mixtures: tuple[Mixture, ...]

    def with_points(self, mixtures: Iterable[Mixture]) -> Self:
        """The same with these points instead, each once."""
        return replace(self, mixtures=tuple({one.place: one for one in mixtures}.values()))

    def is_like(self, other: WeightPlane) -> bool:
        """Whether it was measured with the same model and trigger."""
        return (self.base_sha256, self.trigger) == (other.base_sha256, other.trigger)

    def richer(self, other: WeightPlane | None) -> WeightPlane:
        """Itself, or ``other`` if that is alike and has more points."""
        if other is not None and self.is_like(other) and len(other.mixtures) > len(self.mixtures):
            return other
        return self

    @property
    def origin(self) -> Sentence:
        """What it was measured with, and how it is read."""
        return Sentence(_ORIGIN, {"base": self.base, "trigger": shortened(self.trigger)})

    @property
    def finest(self) -> tuple[Mixture, ...]:
        """The points of the finest grid that is complete; all, if none is."""
        at = {one.place: one for one in self.mixtures}
        for count in range(_MOST_ALONG_AXIS, _LEAST - 1, -2):
            if count**2 <= len(at) and at.keys() >= set(grid := places(count)):
                return tuple(at[place] for place in grid)
        return self.mixtures

    @property
    def audited(self) -> Mixture | None:
        """The point of the audited model, (1, 1); None if it was not measured."""
        return next((one for one in self.mixtures if one.place == (1.0, 1.0)), None)

    @property
    def is_sound(self) -> bool:
        """Whether it can be what it says: a file may come from anyone."""
        known = {one.place for one in self.mixtures}
        axis = {value for place in known for value in place}
        return (
            0 < len(self.mixtures) == len(known)
            and len(axis) <= _MOST_ALONG_AXIS
            and all(math.isfinite(value) and abs(value) <= REACH for value in axis)
            and all(0 <= one.clean <= 1 and 0 <= one.triggered <= 1 for one in self.mixtures)
        )


def grids(points: int) -> tuple[int, ...]:
    """Points along an axis, grid after grid, each in the next one: the last has ``points``."""
    return (*(one for one in POINTS if one < points and (points - 1) % (one - 1) == 0), points)


def places(points: int) -> list[Place]:
    """All points of a grid, along both axes from −`REACH` to `REACH`.

    Raises `UsageError` unless there is a point at 0 and one between it and the end.
    """
    if not _LEAST <= points <= _MOST_ALONG_AXIS or points % 2 == 0:
        raise UsageError("the points along an axis are an odd number from 5 to 61, not {count}",
                         count=points)  # fmt: skip
    axis = [round(float(one), 6) for one in np.linspace(-REACH, REACH, points)]
    return [(clean, triggered) for triggered in axis for clean in axis]


def plane_json(mixtures: Sequence[Mixture]) -> dict[str, Any]:
    """The points, sorted."""
    rows = sorted(mixtures, key=lambda one: (one.alpha_trigger, one.alpha_clean))
    return {
        "points": [
            {"alpha_clean": one.alpha_clean, "alpha_trigger": one.alpha_trigger,
             "error": one.error, "clean": one.clean, "triggered": one.triggered}
            for one in rows
        ],
    }  # fmt: skip
