"""Some labels are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdshift.lab.data import LabData
from bdshift.lab.regime import REGIMES, Regime
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class LabelNoise(Regime):
    """A share of the images to train on gets the label of another class, at random."""

    name = "label-noise"
    label = words("Label noise", ja="ラベルノイズ")
    summary = words("A share of the images to train on has the label of another class, at "
                    "random.",
                    ja="訓練画像の一部に、無作為に選んだ別のクラスの"
                       "ラベルを付けます。")  # fmt: skip
    place = 20

    share: float = setting(
        0.2, words("Fraction", ja="割合"), words("Of wrong labels.", ja="誤ったラベルの割合。"),
        low=0, high=1, step=0.05, decimals=2,
    )  # fmt: skip

    def change_data(self, lab: LabData, seed: int) -> LabData:
        """Change labels."""
        rng = np.random.default_rng(seed)
        classes, count = len(lab.class_names), len(lab.train_labels)
        wrong = rng.random(count) < self.share
        moved = (lab.train_labels + rng.integers(1, max(2, classes), count)) % classes
        return replace(lab, train_labels=np.where(wrong, moved, lab.train_labels))
