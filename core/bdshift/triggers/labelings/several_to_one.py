"""Some classes are sent to another."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bdshift.triggers.labeling import LABELINGS, Labeling, Roles
from bdshift.words import words


@LABELINGS.register
@dataclass(frozen=True)
class SeveralToOne(Labeling):
    """Poisoned images come from the source class and those after it, and get the target's label."""

    name = "several-to-one"
    label = words("Several classes to another", ja="複数のクラスを別のクラスへ")
    summary = words("Images of the source class and the two after it, without the target, get the "
                    "trigger and the target's label.",
                    ja="ソースクラスとその次の 2 クラス（標的を除く）の画像に、トリガーと標的の"
                       "ラベルを付けます。")  # fmt: skip
    place = 25
    has_source = True
    sources = 3
    rate_of_class = True

    def to_attack(self, labels: torch.Tensor, roles: Roles) -> torch.Tensor:
        """Those of the sources."""
        after = (labels - roles.source) % roles.classes
        return torch.nonzero((after < self.sources) & (labels != roles.target))[:, 0]
