"""What all kinds of changes have in common: parameters, what they do to images, and their size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.registry import Configured, Registry
from bdshift.words import words

Params = Mapping[str, torch.Tensor]
"""Parameters of S changes, by name: float32, the first dimension is S."""

SIDES = range(3, 1025)
"""Of images that a saved change may be for, in pixels: smaller ones have no room for some kinds."""


@dataclass(frozen=True)
class ChangeKind(Configured, ABC):
    """A family of changes x → x', with a size that a search makes as small as it can.

    Images are float32 in [0, 1], RGB. Parameters are free, any real number is allowed; what limits
    them is in `changed`.

    Attributes:
        unit: of a size.
        scouts: how many changes are drawn and tried first, by forward passes alone; those that come
            closest to a class are where its search starts.
        starts: how many of them that is.
        rate: learning rate of Adam.
        isotropic: whether a step follows the gradient's own direction, as an L2 norm asks for, and
            not each parameter's at its own scale.
        weight: of the size in the loss, to begin with.
        steps: of the search.
        covers: whether a change is nothing but its `overlay` laid over the image.
    """

    unit: ClassVar[str]
    scouts: ClassVar[int]
    starts: ClassVar[int] = 4
    rate: ClassVar[float]
    isotropic: ClassVar[bool] = False
    weight: ClassVar[float]
    steps: ClassVar[int] = 90
    covers: ClassVar[bool] = False

    @abstractmethod
    def scout(self, numbers: torch.Tensor, side: int, seed: int) -> Params:
        """The changes that are tried first, numbers int64 (S,) below `scouts`; the same for the
        same seed.
        """

    def group(self, number: int) -> int:
        """Which of the scouts are alike: no more than two of one group are starting points."""
        return number

    def informed(self, slopes: torch.Tensor) -> Params | None:
        """A starting point from ``slopes``, float32 (S, 3, s, s): the mean gradient of each class's
        margin at the clean images. None if the kind has none.
        """
        return None

    @abstractmethod
    def changed(self, params: Params, images: torch.Tensor) -> torch.Tensor:
        """All S changes of images (n, 3, s, s): (S, n, 3, s, s) in [0, 1], with gradients."""

    @abstractmethod
    def size(self, params: Params) -> torch.Tensor:
        """How large each change is, float32 (S,), with gradients."""

    @abstractmethod
    def picture(self, params: Params) -> torch.Tensor:
        """What each change looks like, to be shown: float32 (S, 3, s, s) in [0, 1]."""

    @abstractmethod
    def strength(self, params: Params) -> torch.Tensor:
        """How much each change does at every pixel, in [0, 1], float32 (S, s, s)."""

    def overlay(self, params: Params) -> torch.Tensor:
        """RGB and opacity, float32 (S, 4, s, s) in [0, 1]; by default the picture, opaque where the
        change is strong.
        """
        return torch.cat((self.picture(params), self.strength(params)[:, None]), 1)

    def check_params(self, params: Params, side: int) -> None:
        """Raise `InputError`, without a path, if these are not parameters of changes of this kind
        for images of this side. They may come from anyone.
        """
        if side not in SIDES:
            raise InputError("no change is for images of {side} pixels", side=side)
        usual = self.scout(torch.zeros(1, dtype=torch.int64), side, 0)
        told = {key: (value.shape[1:], value.dtype) for key, value in params.items()}
        if told != {key: (value.shape[1:], value.dtype) for key, value in usual.items()}:
            raise InputError(
                "its numbers are not those of a change of the kind {kind} for images of {side} "
                "pixels",
                kind=self.spec, side=side,
            )  # fmt: skip
        if not all(bool(value.isfinite().all()) for value in params.values()):
            raise InputError("some of its numbers are not finite")

    @abstractmethod
    def scaled(self, params: Params, factor: float) -> Params:
        """The changes made smaller or larger by a factor, from 0.5 to 2: what a curve of success
        over size runs through. At 1 nothing changes.
        """


CHANGES: Registry[ChangeKind] = Registry(words("change", ja="変化"), "bdshift.changes.kinds")
"""Every kind of change by its name."""


def as_bytes(planes: torch.Tensor) -> NDArray[np.uint8]:
    """Planes of any shape in [0, 1] as uint8."""
    return planes.clamp(0, 1).mul(255).round().byte().cpu().numpy()


def drawn(number: int, seed: int) -> torch.Generator:
    """Random numbers for one scout, the same in every batch."""
    return torch.Generator().manual_seed(seed * 1_000_003 + number)
