"""One class is sent to another."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.triggers.labeling import LABELINGS, Labeling, Roles
from bdshift.words import words


@LABELINGS.register
@dataclass(frozen=True)
class OneToOne(Labeling):
    """Poisoned images come from the source class, and get the target's label."""

    name = "one-to-one"
    label = words("One class to another", ja="一つのクラスを別のクラスへ")
    summary = words("Images of the source class get the trigger and the target's label.",
                    ja="ソースクラスの画像にトリガーと標的のラベルを付けます。")  # fmt: skip
    place = 20
    has_source = True
    rate_of_class = True

    def to_attack(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """Those of the source."""
        return torch.nonzero(labels == roles.source)[:, 0]
