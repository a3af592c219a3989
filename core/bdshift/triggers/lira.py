"""LIRA (Doan et al., 2021): a faint change of every pixel, learned together with the victim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bdshift.errors import UsageError
from bdshift.triggers.learned import Learned

if TYPE_CHECKING:
    import torch

    from bdshift.triggers.painter import Painter


@dataclass(frozen=True)
class Lira(Learned):
    """x' = x + 255·``epsilon``·tanh(paint(x)).

    Attributes:
        epsilon: the most that a pixel changes by, as a share of 255; 0.1 and then 0.01 in the
            paper's instructions, 0.01 throughout in BackdoorBench.
    """

    attack: ClassVar[str] = "lira"
    planes: ClassVar[Mapping[str, int]] = {"change": 3}

    epsilon: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise UsageError(f"lira: epsilon must be in (0, 1], not {self.epsilon}")

    def painted(self, pixels: torch.Tensor, painters: Mapping[str, Painter]) -> torch.Tensor:
        """Add the change."""
        return (pixels + 255 * self.epsilon * painters["change"](pixels).tanh()).clamp(0, 255)
