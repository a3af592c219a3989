"""Blend (Chen et al., 2017): a pattern mixed into the whole image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger, seed_setting
from bdshift.triggers.picture_file import as_planes, open_rgba
from bdshift.words import words

if TYPE_CHECKING:
    import torch


@TRIGGERS.register
@dataclass(frozen=True)
class Blend(Trigger):
    """x' = (1 − ``ratio``)·x + ``ratio``·pattern, over the whole image.

    Attributes:
        ratio: share of the pattern, in (0, 1]; 0.2 in BackdoorBench, 0.1 is common too.
        pattern: path of a picture, or empty for uniform noise from ``seed``.
        seed: of the noise, which is drawn at the size of the image.
    """

    name = "blend"
    label = words("Pattern over the whole image (Blend)", ja="画像全体への模様（Blend）")
    summary = words(
        "Mixes a picture or noise into the whole image.",
        ja="画像全体に、別の画像やノイズを混ぜます。",
    )
    place = 20

    ratio: float = setting(
        0.2, words("Ratio", ja="比率"), words("Share of the pattern.", ja="模様の割合。"),
        low=0, above=True, high=1, decimals=3, step=0.05, role="opacity",
        source=words("0.2 in BackdoorBench; 0.1 is common too.",
                     ja="BackdoorBench では 0.2。0.1 もよく使われます。"),
    )  # fmt: skip
    pattern: str = setting(
        "", words("Pattern", ja="模様"),
        words("A picture, scaled to the image.", ja="画像に合わせて拡大縮小する画像。"),
        widget="file", placeholder=words("noise", ja="ノイズ"),
    )  # fmt: skip
    seed: int = seed_setting(words("Of the noise.", ja="ノイズの乱数シード。"))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Mix the pattern in."""
        height, width = pixels.shape[2:]
        if self.pattern:
            planes = as_planes(open_rgba(self.pattern), height, width)[:3]
        else:
            rng = np.random.default_rng(self.seed)
            planes = rng.uniform(0, 255, (3, height, width)).astype(np.float32)
        return pixels.lerp(pixels.new_tensor(planes), self.ratio)
