"""Images that were JPEG files."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bdshift.lab.condition import CONDITIONS, Circumstances, CleanImages, Condition
from bdshift.setting import setting
from bdshift.words import words


@CONDITIONS.register
@dataclass(frozen=True)
class Compressed(Condition):
    """Through JPEG and back."""

    name = "compressed"
    label = words("JPEG", ja="JPEG")
    summary = words("Images that were saved as JPEG files.", ja="JPEG で保存された画像です。")
    place = 22

    quality: int = setting(50, words("Quality", ja="画質"), low=1, high=95)

    def change(self, images: CleanImages, about: Circumstances) -> CleanImages:
        """See `Condition`."""
        return replace(images, pixels=np.stack([self._saved(one) for one in images.pixels]))

    def _saved(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        stream = io.BytesIO()
        Image.fromarray(pixels.transpose(1, 2, 0)).save(stream, "JPEG", quality=self.quality)
        with Image.open(stream) as saved:
            return np.asarray(saved.convert("RGB")).transpose(2, 0, 1)
