"""Nobody knows the classes of the images."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class NoLabels(Condition):
    """All images are in one folder."""

    name = "no-labels"
    label = words("No labels", ja="ラベルなし")
    summary = words(
        "All images are in one folder.", ja="すべての画像が 1 つのフォルダーにあります。"
    )
    place = 41

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        return replace(images, labeled=False)
