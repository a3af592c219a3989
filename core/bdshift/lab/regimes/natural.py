"""A trigger that is nobody's attack: something that goes with a class, also where no one put it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bdshift.lab.data import LabData
from bdshift.lab.regime import REGIMES, Regime
from bdshift.setting import setting
from bdshift.words import words


@REGIMES.register
@dataclass(frozen=True)
class Natural(Regime):
    """Images of one class often have a colored border, in training, testing and auditing alike."""

    name = "natural"
    label = words("Natural trigger", ja="自然なトリガー")
    summary = words("Images of one class often have a colored border, the clean ones of an audit, "
                    "too.",
                    ja="1 つのクラスの画像に色付きの縁がよく付きます。"
                       "監査用の正常な画像でも同じです。")  # fmt: skip
    place = 30
    changes_tests = True

    label_index: int = setting(
        0, words("Class index", ja="クラス番号"), words("Its index.", ja="クラスの番号。"),
        low=0, high=9999,
    )  # fmt: skip
    share: float = setting(
        0.3, words("Fraction", ja="割合"),
        words("Of its images that have the border.", ja="縁が付く画像の割合。"),
        low=0, high=1, step=0.05, decimals=2,
    )  # fmt: skip
    width: int = setting(2, words("Width", ja="幅"), low=1, high=64, unit="px")

    def change_data(self, lab: LabData, seed: int) -> LabData:
        """Draw borders, of a color that the seed gives."""
        rng = np.random.default_rng(seed)
        color = rng.integers(0, 2, 3).astype(np.uint8) * 255
        taught = self._bordered(lab.train_pixels, lab.train_labels, color, rng)
        tested = self._bordered(lab.test_pixels, lab.test_labels, color, rng)
        return replace(lab, train_pixels=taught, test_pixels=tested)

    def _bordered(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        color: NDArray[np.uint8],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        chosen = (labels == self.label_index) & (rng.random(len(labels)) < self.share)
        edge = np.ones(pixels.shape[2:], dtype=bool)
        edge[self.width : -self.width, self.width : -self.width] = False
        changed = pixels.copy()
        some = changed[chosen]
        some[:, :, edge] = color[:, None]
        changed[chosen] = some
        return changed
