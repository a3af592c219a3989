"""Images of two classes only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class TwoClasses(Condition):
    """The target and one other class, and the user says which they are."""

    name = "two-classes"
    label = words("Two classes only", ja="2 クラスのみ")
    summary = words("Only the target and one other class have images.",
                    ja="標的ともう 1 つのクラスの画像しかありません。")  # fmt: skip
    place = 51

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        kept = (about.target, about.another(images.classes))
        return images.only(np.isin(images.labels, kept))
