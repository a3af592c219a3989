"""Pixels painted by hand over the image."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger
from bdshift.triggers.drawing import open_drawing
from bdshift.triggers.picture_file import laid_over
from bdshift.triggers.placement import opacity_setting
from bdshift.words import words

if TYPE_CHECKING:
    import torch
    from PIL import Image


@TRIGGERS.register
@dataclass(frozen=True)
class Painted(Trigger):
    """What was painted, scaled to the image; what was not is left as it is. The pixels are in the
    trigger's text, so that an audit keeps them.

    Attributes:
        pixels: as `bdshift.triggers.drawing` writes them.
        opacity: share of the paint, in (0, 1].
    """

    name = "painted"
    label = words("Painted by hand", ja="手描き")
    summary = words("What you paint on the image; the audit keeps it.",
                    ja="画像の上に描いたもの。監査に保存されます。")  # fmt: skip
    place = 75
    for_training = False

    pixels: str = setting(
        MISSING, words("Painting", ja="描いたもの"),
        words("A PNG in URL-safe base64, scaled to the images; the window writes it.",
              ja="URL セーフの base64 で表した PNG。画像に合わせて拡大縮小されます。"
                 "ウィンドウで描くと書き込まれます。"),
        widget="drawing",
    )  # fmt: skip
    opacity: float = opacity_setting()

    @cached_property
    def _image(self) -> Image.Image:
        return open_drawing(self.pixels)

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Lay the paint over the image."""
        return laid_over(pixels, self._image, self.opacity)
