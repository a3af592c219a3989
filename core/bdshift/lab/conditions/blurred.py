"""Images out of focus."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.setting import setting
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class Blurred(Condition):
    """A Gaussian blur."""

    name = "blurred"
    label = words("Blurred", ja="ぼかし")
    summary = words("Images that are a little out of focus.", ja="少しぼけた画像です。")
    place = 20

    sigma: float = setting(
        0.7, words("Radius", ja="半径"),
        words("Standard deviation of the blur.", ja="ぼかしの標準偏差。"),
        low=0, above=True, high=100, step=0.1, decimals=1, unit="px",
    )  # fmt: skip

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        from scipy.ndimage import gaussian_filter

        pixels = gaussian_filter(images.pixels.astype(np.float32), (0, 0, self.sigma, self.sigma))
        return replace(images, pixels=np.rint(pixels).clip(0, 255).astype(np.uint8))
