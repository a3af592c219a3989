"""Some labels are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.setting import setting
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class WrongLabels(Condition):
    """A share of the images lies in the folder of another class, at random."""

    name = "wrong-labels"
    label = words("Wrong labels", ja="誤ったラベル")
    summary = words("Some images are in the folder of another class, at random.",
                    ja="一部の画像が、無作為に選んだ別のクラスのフォルダーに"
                       "入っています。")  # fmt: skip
    place = 40

    share: float = setting(
        0.1, words("Fraction", ja="割合"), words("Of wrong labels.", ja="誤ったラベルの割合。"),
        low=0, high=1, step=0.05, decimals=2,
    )  # fmt: skip

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        count = len(images.labels)
        wrong = about.rng.permutation(count) < round(self.share * count)
        moved = (images.labels + about.rng.integers(1, images.classes, count)) % images.classes
        return replace(images, labels=np.where(wrong, moved, images.labels))
