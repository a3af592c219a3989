"""WaNet's warp (Nguyen and Tran, 2021), taken from the grids in the victim's own checkpoint."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.errors import InputError
from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger, local_file
from bdshift.triggers.warping import resample, strength_setting
from bdshift.words import words

if TYPE_CHECKING:
    import torch

GRIDS = "noise_grid", "identity_grid"
"""What WaNet's checkpoints hold in addition to the network."""

_MAX_SIDE = 2048  # pixels of a grid


@TRIGGERS.register
@dataclass(frozen=True)
class Warp(Trigger):
    """x'(p) = x(p + ``strength``·noise(p) / H), pixels moved along a smooth field.

    Attributes:
        file: WaNet's checkpoint, which holds ``noise_grid`` and ``identity_grid`` alongside
            ``netC``, float (1, H, W, 2), in units of half the image's side. It is read as data.
        strength: WaNet's s; 0.5 is its default.
    """

    name = "warp"
    label = words("Warp of a WaNet checkpoint", ja="WaNet チェックポイントの歪み")
    summary = words("The warp that a WaNet victim's own checkpoint holds.",
                    ja="WaNet の被害モデルのチェックポイントに入っている歪み。")  # fmt: skip
    place = 80
    for_training = False
    held_beside = GRIDS

    file: str = setting(
        MISSING, words("Checkpoint", ja="チェックポイント"),
        words("The WaNet checkpoint that holds the grids of the warp.",
              ja="歪みの格子が入った WaNet のチェックポイント。"),
        widget="file",
    )  # fmt: skip
    strength: float = strength_setting()

    @cached_property
    def _grid(self) -> torch.Tensor:
        """Where each pixel comes from, float32 (1, H, W, 2) in −1…1."""
        held = read_checkpoint(local_file(self.file)).value
        noise, identity = (_grid(held, self.file, key) for key in GRIDS)
        if noise.shape != identity.shape:
            raise InputError("{path}: its two grids have different sizes", path=self.file)
        moved: torch.Tensor = identity + self.strength * noise / noise.shape[1]
        return moved

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Move the pixels; a grid whose size differs from the images' is scaled to it."""
        from torch.nn import functional

        grid = self._grid.to(pixels.device)
        if grid.shape[1:3] != pixels.shape[2:]:
            planes = grid.permute(0, 3, 1, 2)
            scaled = functional.interpolate(
                planes, pixels.shape[2:], mode="bilinear", align_corners=True
            )
            grid = scaled.permute(0, 2, 3, 1)
        return resample(pixels, grid)


def _grid(held: Any, file: str, key: str) -> torch.Tensor:
    found = held.get(key) if isinstance(held, dict) else None
    if isinstance(found, LazyTensor) and len(found.shape) == 4:
        first, height, width, last = found.shape
        if (first, last) == (1, 2) and 2 <= min(height, width) <= max(height, width) <= _MAX_SIDE:
            return found.load().float()
    raise InputError("{path}: holds no WaNet {key} of shape (1, H, W, 2)", path=file, key=key)
