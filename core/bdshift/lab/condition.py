"""The base of all conditions: what the clean images of an audit are like that a user brings.

A scan is measured under each on models with known ground truth (`bdshift.lab.robustness`): with
fewer images, worse ones, other labels than there should be, and without some classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bdshift.registry import Configured, Registry
from bdshift.words import words


@dataclass(frozen=True)
class CleanImages:
    """What a user brings.

    Attributes:
        pixels: uint8 (n, 3, s, s).
        labels: index of each image's class, int64 (n,).
        names: of all C classes of the network, in its order.
        told: whether the user says which class each folder is, where folders are missing.
        labeled: whether there are class folders at all.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    told: bool = True
    labeled: bool = True

    @property
    def classes(self) -> int:
        """How many the network has, with images or without."""
        return len(self.names)

    def only(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> CleanImages:
        """Some of the images."""
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows])


@dataclass(frozen=True)
class Circumstances:
    """What a condition may need to know besides the images.

    Attributes:
        target: index of the class that a trigger sends to; of a clean model, of the first class.
        rng: for what is drawn.
        accuracy: of the network on images.
        others: other images of the same classes; None if there are none.
    """

    target: int
    rng: np.random.Generator
    accuracy: Callable[[CleanImages], float]
    others: Callable[[], CleanImages | None]

    def another(self, classes: int) -> int:
        """A class that is not the target: the one halfway round, of ``classes``."""
        return (self.target + max(1, classes // 2)) % classes


@dataclass(frozen=True)
class Condition(Configured, ABC):
    """One of them."""

    @abstractmethod
    def change(self, images: CleanImages, about: Circumstances) -> CleanImages | None:
        """What the user brings instead of ``images``; None if that cannot be made of them."""


CONDITIONS: Registry[Condition] = Registry(
    words("condition", ja="画像の条件"), "bdshift.lab.conditions"
)
"""Every condition by its name."""
