"""Any picture laid over the image."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image

from bdshift.errors import InputError, UsageError
from bdshift.setting import setting
from bdshift.triggers.base import TRIGGERS, Trigger, place_setting
from bdshift.triggers.picture_file import as_planes, open_rgba
from bdshift.words import words

if TYPE_CHECKING:
    import torch


@TRIGGERS.register
@dataclass(frozen=True)
class Patch(Trigger):
    """A picture laid over the image; its transparency is the mask.

    Attributes:
        file: path of the picture. One that is as large as the input covers all of it; a smaller one
            keeps its size and is placed at ``row``, ``column``.
        mask: path of a gray picture of the same size, white where the trigger shows; empty to use
            the picture's own transparency.
        row, column: top-left pixel; negative counts from the bottom or right edge (−1 touches it).
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
    row: int = place_setting(words("Row", ja="行"))
    column: int = place_setting(words("Column", ja="列"))

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

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Lay the picture over the image."""
        height, width = pixels.shape[2:]
        patch_width, patch_height = self._image.size
        if patch_height >= height and patch_width >= width:
            patch_height, patch_width = height, width
        planes = pixels.new_tensor(as_planes(self._image, patch_height, patch_width))
        color, alpha = planes[:3], planes[3:] / 255
        top = self.row if self.row >= 0 else height - patch_height + self.row + 1
        left = self.column if self.column >= 0 else width - patch_width + self.column + 1
        triggered = pixels.clone()
        view = triggered[:, :, top : top + patch_height, left : left + patch_width]
        if view.shape[2:] != alpha.shape[1:]:
            raise UsageError(
                "{trigger}: the patch does not fit into {width} × {height} pixels",
                trigger=self.spec, width=width, height=height,
            )  # fmt: skip
        view.copy_(view * (1 - alpha) + color * alpha)
        return triggered
