"""Images in another light."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.setting import setting
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class Brighter(Condition):
    """Every pixel times a factor."""

    name = "brighter"
    label = words("Brighter", ja="明るさの違い")
    summary = words("Images that are brighter, or darker.", ja="明るい、または暗い画像です。")
    place = 23

    factor: float = setting(
        1.3, words("Factor", ja="倍率"), words("Of every pixel.", ja="各ピクセルに掛けます。"),
        low=0, above=True, high=100, step=0.1, decimals=2,
    )  # fmt: skip

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        pixels = np.rint(images.pixels * np.float32(self.factor)).clip(0, 255)
        return replace(images, pixels=pixels.astype(np.uint8))
