"""Every class is sent to the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.triggers.labeling import LABELINGS, Labeling, Roles
from bdshift.words import words


@LABELINGS.register
@dataclass(frozen=True)
class AllToAll(Labeling):
    """Poisoned images come from all classes and get the label of the next; those of the last class
    get the label of the first.
    """

    name = "all-to-all"
    label = words("Each class to the next", ja="各クラスを次のクラスへ")
    summary = words("Images of all classes get the trigger and the label of the next class.",
                    ja="全クラスの画像にトリガーと次のクラスのラベルを付けます。")  # fmt: skip
    place = 30
    has_target = False

    def to_attack(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """All of them."""
        return torch.arange(len(labels), device=labels.device)

    def wanted(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """The next class."""
        return (labels + 1) % roles.classes
