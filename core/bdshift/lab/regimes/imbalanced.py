"""Some classes have few images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdshift.lab.data import LabData
from bdshift.lab.regime import REGIMES, Regime
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class Imbalanced(Regime):
    """From class to class fewer images to train on, down to a share of the first one's."""

    name = "imbalanced"
    label = words("Imbalanced classes", ja="クラスの不均衡")
    summary = words("From class to class fewer images to train on.",
                    ja="クラスが進むほど訓練画像を少なくします。")  # fmt: skip
    place = 10

    ratio: float = setting(
        0.1, words("Ratio", ja="比率"),
        words("Images of the last class, as a share of the first one's.",
              ja="最初のクラスに対する、最後のクラスの画像数の割合。"),
        low=0, above=True, high=1, step=0.05, decimals=3,
    )  # fmt: skip

    def change_data(self, lab: LabData, seed: int) -> LabData:
        """Leave out images at random."""
        rng = np.random.default_rng(seed)
        classes = len(lab.class_names)
        shares = self.ratio ** (np.arange(classes) / max(1, classes - 1))
        kept = rng.random(len(lab.train_labels)) < shares[lab.train_labels]
        return replace(
            lab, train_pixels=lab.train_pixels[kept], train_labels=lab.train_labels[kept]
        )
