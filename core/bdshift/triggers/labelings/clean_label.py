"""Labels stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.triggers.labeling import LABELINGS, Labeling, Roles
from bdshift.words import words


@LABELINGS.register
@dataclass(frozen=True)
class CleanLabel(Labeling):
    """Poisoned images come from the target, and keep their label."""

    name = "clean-label"
    label = words("Clean labels", ja="クリーンラベル")
    summary = words("Images of the target get the trigger and keep their label.",
                    ja="標的の画像にトリガーを付け、ラベルは変えません。")  # fmt: skip
    place = 40
    keeps_labels = True
    rate_of_class = True

    def to_attack(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """All but the target's."""
        return torch.nonzero(labels != roles.target)[:, 0]

    def to_poison(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """The target's."""
        return torch.nonzero(labels == roles.target)[:, 0]
