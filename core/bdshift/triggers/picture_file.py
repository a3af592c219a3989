"""Pictures that triggers are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import InputError
from bdshift.images.decode import open_picture
from bdshift.triggers.base import local_file

if TYPE_CHECKING:
    import torch

_MAX_FILE_BYTES = 64 * 1024 * 1024


def open_rgba(path: str) -> Image.Image:
    """A picture with transparency. Its name may come from an audit file, so no device is read.

    Raises `InputError`.
    """
    found = local_file(path)
    try:
        if found.exists() and not (found.is_file() and found.stat().st_size <= _MAX_FILE_BYTES):
            raise InputError("no file, or too large")
        with open_picture(found.read_bytes()) as image:
            return image.convert("RGBA")
    except InputError as error:
        raise InputError(
            "{path}: not a readable image ({reason})", path=path, reason=error.sentence
        ) from error
    except Exception as error:  # Pillow raises whatever its decoders raise
        raise InputError(
            "{path}: not a readable image ({reason})", path=path, reason=str(error)
        ) from error


def as_planes(image: Image.Image, height: int, width: int) -> NDArray[np.float32]:
    """RGBA, scaled: float32 (4, height, width), 0…255."""
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled, dtype=np.float32).transpose(2, 0, 1)


def laid_over(pixels: torch.Tensor, image: Image.Image, opacity: float) -> torch.Tensor:
    """Images (n, 3, H, W) in 0…255 with a picture, scaled to H × W, over them; new pixels. Its
    transparency is the mask.
    """
    planes = pixels.new_tensor(as_planes(image, *pixels.shape[2:]))
    alpha = planes[3:] * (opacity / 255)
    return pixels * (1 - alpha) + planes[:3] * alpha
