"""BadNets as it is used on CLIP models (BadCLIP, TBAR): a noisy square at another place in each
image.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bdshift.errors import UsageError
from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger, seed_setting
from bdshift.words import words

if TYPE_CHECKING:
    import torch

_SPREAD = 68.5  # of the noise, in 0…255: 1 where CLIP normalizes with a std of 0.27


@TRIGGERS.register
@dataclass(frozen=True)
class NoisePatch(Trigger):
    """A ``size``×``size`` patch of the image's mean color and normal noise. Place and noise are
    drawn from the image itself, so that the same image always gets the same patch.

    Attributes:
        size: side in pixels.
        seed: of place and noise, together with the image.
    """

    name = "noise-patch"
    label = words("Noise patch at a random place", ja="ランダムな位置のノイズパッチ")
    summary = words("A square of noise, at another place in each image.",
                    ja="画像ごとに位置が変わる、正方形のノイズ。")  # fmt: skip
    place = 25

    size: int = setting(
        4, words("Size", ja="大きさ"), words("Side of the square.", ja="正方形の一辺。"), low=1,
        high=1024, unit="px",
        source=words("16 of 224 pixels on CLIP models.", ja="CLIP では 224 px のうち 16 px。"),
    )  # fmt: skip
    seed: int = seed_setting(
        words("Of place and noise, together with the image.",
              ja="画像と組み合わせて、位置とノイズを決める乱数シード。")
    )  # fmt: skip

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Paint a patch of its own into every image."""
        size, (height, width) = self.size, pixels.shape[2:]
        if size > min(height, width):
            raise UsageError(
                "{trigger}: the patch does not fit into {width} × {height} pixels",
                trigger=self.spec, width=width, height=height,
            )  # fmt: skip
        triggered = pixels.clone()
        mean = pixels.mean((2, 3))[..., None, None]
        for number, image in enumerate(pixels.cpu().numpy()):
            rng = np.random.default_rng((self.seed, zlib.crc32(image.astype(np.uint8).tobytes())))
            top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
            noise = rng.normal(0, _SPREAD, (3, size, size)).astype(np.float32)
            painted = mean[number] + pixels.new_tensor(noise)
            triggered[number, :, top : top + size, left : left + size] = painted
        return triggered
