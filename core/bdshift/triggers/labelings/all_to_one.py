"""All classes are sent to one."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.triggers.labeling import LABELINGS, Labeling, Roles
from bdshift.words import words


@LABELINGS.register
@dataclass(frozen=True)
class AllToOne(Labeling):
    """Poisoned images come from all classes but the target, and get its label."""

    name = "all-to-one"
    label = words("All classes to one", ja="全クラスを一つへ")
    summary = words("Images of all other classes get the trigger and the target's label.",
                    ja="他の全クラスの画像にトリガーと標的のラベルを付けます。")  # fmt: skip
    place = 10

    def to_attack(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """All but the target's."""
        return torch.nonzero(labels != roles.target)[:, 0]
