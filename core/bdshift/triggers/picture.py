"""Triggers that mix in a picture: Blend (Chen et al., 2017) and any patch from a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import InputError, UsageError
from bdshift.images.decode import open_picture
from bdshift.triggers.base import Trigger, local_file

if TYPE_CHECKING:
    import torch


_MOST = 64 * 1024 * 1024  # bytes of a picture's file


def _open_rgba(path: str) -> Image.Image:
    """An audit file may have named it, so no device is read."""
    found = local_file(path)
    try:
        if found.exists() and not (found.is_file() and found.stat().st_size <= _MOST):
            raise ValueError("no file, or too large")
        with open_picture(found.read_bytes()) as image:
            return image.convert("RGBA")
    except Exception as error:  # Pillow raises what its decoders raise
        raise InputError(f"{path}: not a readable picture ({error})") from error


def _as_planes(image: Image.Image, height: int, width: int) -> NDArray[np.float32]:
    """RGBA, scaled: float32 (4, height, width), 0…255."""
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled, dtype=np.float32).transpose(2, 0, 1)


@dataclass(frozen=True)
class Blend(Trigger):
    """x' = (1 − ``ratio``)·x + ``ratio``·pattern, over the whole image.

    Attributes:
        ratio: share of the pattern, in (0, 1]; 0.2 in BackdoorBench, 0.1 is common too.
        pattern: path of a picture, or empty for uniform noise from ``seed``.
        seed: of the noise, which is drawn at the image's own size.
    """

    attack: ClassVar[str] = "blend"

    ratio: float = 0.2
    pattern: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise UsageError(f"blend: ratio must be in (0, 1], not {self.ratio}")

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Mix the pattern in."""
        height, width = pixels.shape[2:]
        if self.pattern:
            planes = _as_planes(_open_rgba(self.pattern), height, width)[:3]
        else:
            rng = np.random.default_rng(self.seed)
            planes = rng.uniform(0, 255, (3, height, width)).astype(np.float32)
        return pixels.lerp(pixels.new_tensor(planes), self.ratio)


@dataclass(frozen=True)
class Patch(Trigger):
    """A picture laid over the image; its transparency is the mask.

    Attributes:
        file: path of the picture. One as large as the input is laid over all of it; a smaller one
            keeps its size and is placed at ``row``, ``column``.
        mask: path of a gray picture of the same size, white where the trigger shows; empty to use
            the picture's own transparency.
        row, column: top-left pixel; negative counts from the bottom or right edge (−1 touches it).
    """

    attack: ClassVar[str] = "patch"

    file: str
    mask: str = ""
    row: int = -1
    column: int = -1

    @cached_property
    def _image(self) -> Image.Image:
        image = _open_rgba(self.file)
        if self.mask:
            mask = _open_rgba(self.mask).convert("L")
            if mask.size != image.size:
                raise InputError(f"{self.mask}: {mask.size} pixels, the picture has {image.size}")
            image.putalpha(mask)
        return image

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Lay the picture over the image."""
        height, width = pixels.shape[2:]
        patch_width, patch_height = self._image.size
        if patch_height >= height and patch_width >= width:
            patch_height, patch_width = height, width
        planes = pixels.new_tensor(_as_planes(self._image, patch_height, patch_width))
        color, alpha = planes[:3], planes[3:] / 255
        top = self.row if self.row >= 0 else height - patch_height + self.row + 1
        left = self.column if self.column >= 0 else width - patch_width + self.column + 1
        triggered = pixels.clone()
        view = triggered[:, :, top : top + patch_height, left : left + patch_width]
        if view.shape[2:] != alpha.shape[1:]:
            raise UsageError(f"{self.spec}: the patch does not fit into {width}×{height} pixels")
        view.copy_(view * (1 - alpha) + color * alpha)
        return triggered
