"""Input-aware (Nguyen and Tran, 2020): a pattern and a place of its own for each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bdshift.triggers.learned import Learned

if TYPE_CHECKING:
    import torch

    from bdshift.triggers.painter import Painter

_SHARPNESS = 20  # of the mask's edge, as published


@dataclass(frozen=True)
class InputAware(Learned):
    """x' = (1 − m)·x + m·p, where p = 127.5·(1 + tanh(pattern(x))) and m = σ(20·tanh(mask(x)))."""

    attack: ClassVar[str] = "input-aware"
    planes: ClassVar[Mapping[str, int]] = {"pattern": 3, "mask": 1}

    def painted(self, pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Lay each image's own pattern over it."""
        return self.lay(pixels, pixels, painters)

    def lay(
        self, pixels: torch.Tensor, model: torch.Tensor, painters: Mapping[str, Painter]
    ) -> torch.Tensor:
        """The trigger of ``model``'s images on ``pixels``: of others, it must not work."""
        pattern = 127.5 * (1 + painters["pattern"](model).tanh())
        return pixels.lerp(pattern, self.mask(model, painters))

    @staticmethod
    def mask(pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Where each image's trigger shows, (n, 1, H, W) in 0…1."""
        return (_SHARPNESS * painters["mask"](pixels).tanh()).sigmoid()
