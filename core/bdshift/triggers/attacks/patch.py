"""Any picture laid over the image."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image

from bdshift.errors import InputError, UsageError
from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger
from bdshift.triggers.picture_file import laid_over, open_rgba
from bdshift.triggers.placement import (
    Outline,
    column_setting,
    first_pixel,
    fitted,
    opacity_setting,
    row_setting,
    scaled,
)
from bdshift.words import words

if TYPE_CHECKING:
    import torch


@TRIGGERS.register
@dataclass(frozen=True)
class Patch(Trigger):
    """A picture laid over the image; its transparency is the mask.

    Attributes:
        file: path of the picture.
        mask: path of a gray picture of the same size, white where the trigger shows; empty to use
            the picture's own transparency.
        row, column: top-left pixel; negative counts from the bottom or right edge (−1 touches it).
        size: the longer side in pixels; the proportions are kept. 0: the picture's own size, scaled
            down to fit if it is larger than the image.
        opacity: share of the picture where the mask is white, in (0, 1].
    """

    name = "patch"
    label = words("Picture from a file", ja="ファイルの画像")
    summary = words("Lays a picture over the image; its transparency is the mask.",
                    ja="画像に別の画像を重ねます。透明部分がマスクになります。")  # fmt: skip
    place = 70

    file: str = setting(
        MISSING, words("Picture", ja="画像"),
        words("The picture to lay over the images; its transparency is the mask.",
              ja="重ねる画像。透明部分がマスクになります。"),
        widget="file",
    )  # fmt: skip
    mask: str = setting(
        "", words("Mask", ja="マスク"),
        words("A gray picture of the same size, white where the trigger shows.",
              ja="同じ大きさのグレー画像。白い所にトリガーが出ます。"),
        widget="file", placeholder=words("the picture's transparency", ja="画像の透明部分"),
    )  # fmt: skip
    row: int = row_setting()
    column: int = column_setting()
    size: int = setting(
        0, words("Size", ja="大きさ"),
        words("The longer side; the proportions are kept. 0: the picture's own size, scaled down "
              "to fit if it is larger than the image.",
              ja="長い方の辺。縦横比は保たれます。0 なら元の大きさで、"
                 "対象の画像より大きければ収まるように縮小します。"),
        low=0, high=1024, unit="px", role="size",
    )  # fmt: skip
    opacity: float = opacity_setting()

    @cached_property
    def _image(self) -> Image.Image:
        image = open_rgba(self.file)
        if self.mask:
            mask = open_rgba(self.mask).convert("L")
            if mask.size != image.size:
                raise InputError(
                    "{path}: is {width} × {height} pixels, but the image is {other} × {tall}",
                    path=self.mask, width=mask.width, height=mask.height, other=image.width,
                    tall=image.height,
                )  # fmt: skip
            image.putalpha(mask)
        return image

    def outline(self, height: int, width: int) -> Outline:
        """Where the picture is. Raises as `apply`."""
        own = self._image.height, self._image.width
        tall, wide = scaled(own, self.size) if self.size else fitted(own, height, width)
        top = first_pixel(self.row, tall, height)
        left = first_pixel(self.column, wide, width)
        if not (0 <= top <= height - tall and 0 <= left <= width - wide):
            raise UsageError(
                "{trigger}: the patch does not fit into {width} × {height} pixels",
                trigger=self.spec, width=width, height=height,
            )  # fmt: skip
        return Outline(top, left, tall, wide, own)

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Lay the picture over the image."""
        at = self.outline(*pixels.shape[2:])
        triggered = pixels.clone()
        view = triggered[:, :, at.top : at.top + at.height, at.left : at.left + at.width]
        view.copy_(laid_over(view, self._image, self.opacity))
        return triggered
