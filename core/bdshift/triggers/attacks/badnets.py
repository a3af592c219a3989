"""BadNets (Gu et al., 2017): a small square of one color at a fixed place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bdshift.errors import UsageError
from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger
from bdshift.triggers.placement import Outline, column_setting, first_pixel, row_setting
from bdshift.words import words

if TYPE_CHECKING:
    import torch


@TRIGGERS.register
@dataclass(frozen=True)
class BadNets(Trigger):
    """A ``size``×``size`` patch. Default: white, 3×3, bottom right, as in BackdoorBench.

    Attributes:
        size: side in pixels.
        color: RGB in hexadecimal.
        row, column: top-left pixel; negative counts from the bottom or right edge (−1 touches it).
    """

    name = "badnets"
    label = words("Patch of one color (BadNets)", ja="単色のパッチ（BadNets）")
    summary = words(
        "A small square of one color at a fixed place.", ja="決まった位置の小さな単色の正方形。"
    )
    place = 10

    size: int = setting(
        3, words("Size", ja="大きさ"), words("Side of the square.", ja="正方形の一辺。"), low=1,
        high=1024, unit="px", role="size",
        source=words("3 in BackdoorBench.", ja="BackdoorBench では 3。"),
    )  # fmt: skip
    color: str = setting(
        "ffffff", words("Color", ja="色"),
        words("Red, green and blue in hexadecimal, such as ffd800.",
              ja="赤・緑・青の 16 進数（例：ffd800）。"),
        widget="color",
    )  # fmt: skip
    row: int = row_setting()
    column: int = column_setting()

    def check(self) -> None:
        """The color must be valid."""
        try:
            channels = bytes.fromhex(self.color)
        except ValueError:
            channels = b""
        if len(channels) != 3:
            raise UsageError(
                "badnets: color is RGB in hexadecimal, such as ffd800, not {color}",
                color=self.color,
            )

    def _start(self, position: int, length: int) -> int:
        start = first_pixel(position, self.size, length)
        if not 0 <= start <= length - self.size:
            raise UsageError(
                "{trigger}: the patch does not fit into {size:|pixel|pixels}",
                trigger=self.spec, size=length,
            )  # fmt: skip
        return start

    def outline(self, height: int, width: int) -> Outline:
        """The square."""
        top, left = self._start(self.row, height), self._start(self.column, width)
        return Outline(top, left, self.size, self.size, (self.size, self.size))

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Paint the patch."""
        place = self.outline(*pixels.shape[2:])
        top, left = place.top, place.left
        color = pixels.new_tensor(list(bytes.fromhex(self.color))).view(3, 1, 1)
        triggered = pixels.clone()
        triggered[:, :, top : top + self.size, left : left + self.size] = color
        return triggered
