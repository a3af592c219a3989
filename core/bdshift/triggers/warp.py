"""WaNet's warp (Nguyen and Tran, 2021), from the grids in the victim's own checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError, UsageError
from bdshift.triggers.base import Trigger, local_file

if TYPE_CHECKING:
    import torch

_MOST = 2048  # pixels a side of a grid


@dataclass(frozen=True)
class Warp(Trigger):
    """x'(p) = x(p + ``strength``·noise(p) / H), pixels moved along a smooth field.

    Attributes:
        file: WaNet's checkpoint, which holds ``noise_grid`` and ``identity_grid`` beside ``netC``,
            float (1, H, W, 2), in units of half the image's side; it is read as data.
        strength: WaNet's s; 0.5 is its default.
    """

    attack: ClassVar[str] = "warp"

    file: str
    strength: float = 0.5

    def __post_init__(self) -> None:
        check_strength(self.attack, self.strength)

    @cached_property
    def _grid(self) -> torch.Tensor:
        """Where each pixel comes from, float32 (1, H, W, 2) in −1…1."""
        held = read_checkpoint(local_file(self.file)).value
        noise, identity = (_grid(held, self.file, key) for key in ("noise_grid", "identity_grid"))
        if noise.shape != identity.shape:
            raise InputError(f"{self.file}: its two grids have different sizes")
        moved: torch.Tensor = identity + self.strength * noise / noise.shape[1]
        return moved

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Move the pixels; a grid of another size than the images is scaled to theirs."""
        from torch.nn import functional

        grid = self._grid.to(pixels.device)
        if grid.shape[1:3] != pixels.shape[2:]:
            planes = grid.permute(0, 3, 1, 2)
            scaled = functional.interpolate(
                planes, pixels.shape[2:], mode="bilinear", align_corners=True
            )
            grid = scaled.permute(0, 2, 3, 1)
        return resample(pixels, grid)


def check_strength(attack: str, strength: float) -> None:
    """Raise `UsageError` if ``strength`` is none of a warp's."""
    if not 0 < strength <= 100:
        raise UsageError(f"{attack}: strength must be in (0, 100], not {strength}")


def resample(pixels: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Images (n, 3, H, W) whose pixels come from ``field`` (1 or n, H, W, 2), in −1…1 after it is
    clipped to that; bilinear.
    """
    from torch.nn import functional

    field = field.clamp(-1, 1).expand(len(pixels), -1, -1, -1)
    return functional.grid_sample(pixels, field, align_corners=True)


def _grid(held: Any, file: str, key: str) -> torch.Tensor:
    found = held.get(key) if isinstance(held, dict) else None
    if isinstance(found, LazyTensor) and len(found.shape) == 4:
        first, height, width, last = found.shape
        if (first, last) == (1, 2) and 2 <= min(height, width) <= max(height, width) <= _MOST:
            return found.load().float()
    raise InputError(f"{file}: holds no {key} of WaNet's, of the shape (1, H, W, 2)")
