"""Which images a backdoor is trained on, and what they are labeled with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from bdshift.registry import Configured, Registry
from bdshift.words import words


@dataclass(frozen=True)
class Roles:
    """Classes by role: indices of the ``target`` and the ``source``, −1 if a labeling has none, and
    ``classes``, the number of all.
    """

    target: int
    source: int
    classes: int


@dataclass(frozen=True)
class Labeling(Configured, ABC):
    """A way to choose images and their labels. Labels are int64 (n,).

    Attributes:
        has_target: whether all triggered images are sent to one class.
        has_source: whether the trigger works on some classes only.
        sources: how many those are, from the source class on.
        keeps_labels: whether poisoned images keep their label.
        rate_of_class: whether the poison rate is a share of the images that may be poisoned, not of
            all.
    """

    has_target: ClassVar[bool] = True
    has_source: ClassVar[bool] = False
    sources: ClassVar[int] = 1
    keeps_labels: ClassVar[bool] = False
    rate_of_class: ClassVar[bool] = False

    @abstractmethod
    def to_attack(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """Rows on which success is counted: never those already of the target class."""

    def to_poison(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """Rows that may be poisoned in training; by default those that are attacked."""
        return self.to_attack(labels, roles)

    def wanted(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """The classes that triggered images should be classified as; the target if there is one."""
        return torch.full_like(labels, roles.target)


LABELINGS: Registry[Labeling] = Registry(
    words("labeling", ja="ラベル付け"), "bdshift.triggers.labelings"
)
"""Every labeling by its name."""
