"""WaNet (Nguyen and Tran, 2021): the image is bent a little, along a smooth random field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger, seed_setting
from bdshift.triggers.warping import resample, strength_setting
from bdshift.words import words

if TYPE_CHECKING:
    import torch


@TRIGGERS.register
@dataclass(frozen=True)
class WaNet(Trigger):
    """x'(p) = x(p + ``strength``·field(p)/H): a ``grid``×``grid`` field of uniform noise, divided
    by the mean of its absolute values and enlarged bicubically to the image.

    Its cover images (the paper's noise mode) are bent along the field, and additionally by up to a
    pixel's width, at random for every pixel. They keep their labels in training, which is what ties
    the backdoor to this field and no other.

    Attributes:
        grid: control points per side, k in the paper; 4.
        strength: s in the paper; 0.5.
        seed: of the field.
    """

    name = "wanet"
    label = words("Warp (WaNet)", ja="歪み（WaNet）")
    summary = words("Bends the image a little, along a smooth random field.",
                    ja="滑らかな乱数の場に沿って、画像をわずかに歪めます。")  # fmt: skip
    place = 30
    has_cover = True

    grid: int = setting(
        4, words("Grid", ja="格子"), words("Control points per side.", ja="一辺の制御点の数。"),
        low=1, high=64,
        source=words("4 in the paper.", ja="論文では 4。"),
    )  # fmt: skip
    strength: float = strength_setting()
    seed: int = seed_setting(words("Of the field.", ja="場の乱数シード。"))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Bend the images."""
        return resample(pixels, self._field(*pixels.shape[2:]).to(pixels.device))

    def cover(self, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Bend the images along the field, and a little more."""
        import torch

        count, _, height, width = pixels.shape
        more = torch.rand((count, height, width, 2), generator=rng) * 2 - 1
        field = self._field(height, width) + more / height
        return resample(pixels, field.to(pixels.device)).clamp_(0, 255)

    def _field(self, height: int, width: int) -> torch.Tensor:
        """Where each pixel comes from, float32 (1, H, W, 2) in −1…1."""
        import torch
        from torch.nn import functional

        rng = torch.Generator().manual_seed(self.seed)
        noise = torch.rand((1, 2, self.grid, self.grid), generator=rng) * 2 - 1
        noise = noise / noise.abs().mean()
        smooth = functional.interpolate(noise, (height, width), mode="bicubic", align_corners=True)
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        across, down = torch.meshgrid(columns, rows, indexing="xy")
        straight = torch.stack((across, down), 2)[None]
        return straight + self.strength * smooth.permute(0, 2, 3, 1) / height
