"""Another sample of the same classes."""

from __future__ import annotations

from dataclasses import dataclass

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class OtherImages(Condition):
    """Such as those that the model was trained on."""

    name = "other-images"
    label = words("Other images", ja="別の画像")
    summary = words("Other images of the same classes, such as those for training.",
                    ja="同じクラスの別の画像（訓練画像など）を使います。")  # fmt: skip
    place = 30

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages | None:
        """See `Condition`."""
        return about.others()
