"""What was painted by hand, written as text in that of a trigger: a PNG in URL-safe base64.

The text may come from an audit file of anyone's: its length and the picture's side are limited.
"""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import InputError, UsageError
from bdshift.images.decode import open_picture

MAX_DRAWING_SIDE = 1024
_MAX_TEXT = 30_000  # characters; a command line of Windows takes 32 767
_TEXT = re.compile(r"[A-Za-z0-9_-]+")

Drawing = NDArray[np.uint8]
"""RGBA, uint8 (h, w, 4); where nothing is painted, all zeros."""


def drawing_text(drawing: Drawing) -> str:
    """The text of a drawing; empty if nothing is painted.

    Raises `UsageError` if it would be too long.
    """
    if not drawing[..., 3].any():
        return ""
    stream = io.BytesIO()
    Image.fromarray(drawing).save(stream, "PNG", optimize=True)
    text = base64.urlsafe_b64encode(stream.getvalue()).decode().rstrip("=")
    if len(text) > _MAX_TEXT:
        raise UsageError(
            "the painting has too many details to be kept; use fewer colors, or a picture from a "
            "file"
        )
    return text


def open_drawing(text: str) -> Image.Image:
    """The picture in a text, RGBA.

    Raises `UsageError` if nothing is painted, `InputError` if the text holds no picture, or a
    larger one than `drawing_text` writes.
    """
    if not text:
        raise UsageError("nothing is painted yet")
    if len(text) > _MAX_TEXT or not _TEXT.fullmatch(text):
        raise _no_drawing()
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        with open_picture(data) as image:
            if max(image.size) > MAX_DRAWING_SIDE:
                raise _no_drawing()
            return image.convert("RGBA")
    except Exception as error:  # Pillow raises whatever its decoders raise
        raise _no_drawing() from error


def drawing_of(text: str, side: int) -> Drawing:
    """The drawing in a text on images of ``side`` pixels: (side, side, 4), writable. Of an empty
    text it is empty. Raises `InputError` as `open_drawing`.
    """
    if not text:
        return np.zeros((side, side, 4), np.uint8)
    return np.array(open_drawing(text).resize((side, side), Image.Resampling.BILINEAR))


def _no_drawing() -> InputError:
    return InputError("its pixels are no painting of this program")
