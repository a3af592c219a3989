"""Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class AsTheyAre(Condition):
    """What the others are compared with."""

    name = "as-they-are"
    label = words("As they are", ja="そのまま")
    summary = words("The clean images, as they are.", ja="クリーン画像をそのまま使います。")
    place = 0

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        return images
