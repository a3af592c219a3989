"""Images with noise, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.setting import setting
from bdshift.words import words


def with_noise(images: CleanImages, sigma: float, rng: np.random.Generator) -> CleanImages:
    """Images with normal noise of standard deviation ``sigma``, of 255, on every pixel."""
    noise = rng.standard_normal(images.pixels.shape, np.float32)
    pixels = np.rint(images.pixels + sigma * noise).clip(0, 255).astype(np.uint8)
    return replace(images, pixels=pixels)


@CONDITIONS.register
@dataclass(frozen=True)
class Noisy(Condition):
    """Normal noise."""

    name = "noisy"
    label = words("Noisy", ja="ノイズ入り")
    summary = words("Images with a little noise.", ja="少しノイズのある画像です。")
    place = 21

    sigma: float = setting(
        8.0, words("Strength", ja="強さ"),
        words("Standard deviation, of 255.", ja="標準偏差（最大値は 255）。"),
        low=0, above=True, high=255, decimals=1,
    )  # fmt: skip

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        return with_noise(images, self.sigma, about.rng)
