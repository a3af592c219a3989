"""BadNets (Gu et al., 2017): a small square of one color at a fixed place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bdshift.errors import UsageError
from bdshift.triggers.base import Trigger

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class BadNets(Trigger):
    """A ``size``×``size`` patch. Default: white, 3×3, bottom right, as in BackdoorBench.

    Attributes:
        size: side in pixels.
        color: RGB in hexadecimal.
        row, column: top-left pixel; negative counts from the bottom or right edge, and −1 is a
            patch that touches it.
    """

    attack: ClassVar[str] = "badnets"

    size: int = 3
    color: str = "ffffff"
    row: int = -1
    column: int = -1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"badnets: size must be at least 1, not {self.size}")
        try:
            channels = bytes.fromhex(self.color)
        except ValueError:
            channels = b""
        if len(channels) != 3:
            raise UsageError(f"badnets: color is RGB in hexadecimal, as ffd800, not {self.color}")

    def _start(self, position: int, length: int) -> int:
        start = position if position >= 0 else length - self.size + position + 1
        if not 0 <= start <= length - self.size:
            raise UsageError(f"{self.spec}: the patch does not fit into {length} pixels")
        return start

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Paint the patch."""
        top = self._start(self.row, pixels.shape[2])
        left = self._start(self.column, pixels.shape[3])
        color = pixels.new_tensor(list(bytes.fromhex(self.color))).view(3, 1, 1)
        triggered = pixels.clone()
        triggered[:, :, top : top + self.size, left : left + self.size] = color
        return triggered
