"""WaNet (Nguyen and Tran, 2021): the image is bent a little, along a smooth random field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bdshift.errors import UsageError
from bdshift.triggers.base import Trigger
from bdshift.triggers.warp import check_strength, resample

if TYPE_CHECKING:
    import torch

_MOST = 64  # control points a side


@dataclass(frozen=True)
class WaNet(Trigger):
    """x'(p) = x(p + ``strength``·field(p)/H): a ``grid``×``grid`` field of uniform noise, divided
    by the mean of its absolute values and enlarged bicubically to the image.

    Attributes:
        grid: control points a side, k in the paper; 4.
        strength: s in the paper; 0.5.
        seed: of the field.
    """

    attack: ClassVar[str] = "wanet"

    grid: int = 4
    strength: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.grid <= _MOST:
            raise UsageError(f"wanet: grid must be from 1 to {_MOST}, not {self.grid}")
        check_strength(self.attack, self.strength)

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Bend the images."""
        return resample(pixels, self._field(*pixels.shape[2:]).to(pixels.device))

    def jitter(self, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Noise mode: each image is bent along the field and by up to a pixel's width more, at
        random for every pixel. Images so treated keep their labels in training, which is what ties
        the backdoor to this field and no other. ``rng`` is a CPU generator.
        """
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
