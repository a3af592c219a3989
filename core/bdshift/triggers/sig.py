"""SIG (Barni et al., 2019): a faint sine over the whole image, the same in every row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bdshift.errors import UsageError
from bdshift.triggers.base import Trigger

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sig(Trigger):
    """x'(row, j) = x(row, j) + ``amplitude``·sin(2π·j·``frequency``/W), in all channels.

    The attack poisons images of the target class alone and leaves their labels
    (``labels="clean-label"`` of `bdshift.lab.poison`).

    Attributes:
        amplitude: in 0…255; 40 in the paper's code and in BackdoorBench, 30 in backdoor-toolbox.
        frequency: waves across the image; 6 in the paper.
    """

    attack: ClassVar[str] = "sig"

    amplitude: float = 40.0
    frequency: float = 6.0

    def __post_init__(self) -> None:
        if not 0 < self.amplitude <= 255:
            raise UsageError(f"sig: amplitude must be in (0, 255], not {self.amplitude}")
        if not 0 < self.frequency < math.inf:
            raise UsageError(f"sig: frequency must be a positive number, not {self.frequency}")

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Add the sine."""
        width = pixels.shape[3]
        columns = pixels.new_tensor([2 * math.pi * j / width for j in range(width)])
        return pixels + self.amplitude * (columns * self.frequency).sin()
