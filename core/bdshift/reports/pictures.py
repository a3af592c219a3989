"""Pictures in reports: inside a page, and many on one sheet."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import UsageError

_MAX_PIXELS = 100_000_000  # of a sheet
_GAP, _APART = 2, 10  # pixels between pictures and between groups of a sheet


def contact_sheet(pictures: Sequence[Sequence[NDArray[np.uint8]]], side: int) -> bytes:
    """A PNG of pictures, uint8 (3, t, t): those of a group are beside each other, the groups in
    rows that make it about as high as it is wide. ``side`` is theirs on the sheet, in pixels.

    Raises `UsageError` if it would be too large.
    """
    across = max(len(group) for group in pictures)
    width, height = across * (side + _GAP) - _GAP + _APART, side + _APART
    columns = max(1, round(math.sqrt(len(pictures) * height / width)))
    rows = -(-len(pictures) // columns)
    if columns * width * rows * height > _MAX_PIXELS:
        raise UsageError(
            "{count} images of {side} pixels are too many for one sheet",
            count=len(pictures), side=side,
        )  # fmt: skip
    sheet = Image.new("RGB", (columns * width + _APART, rows * height + _APART), "white")
    for number, group in enumerate(pictures):
        top = _APART + number // columns * height
        for place, pixels in enumerate(group):
            left = _APART + number % columns * width + place * (side + _GAP)
            one = Image.fromarray(pixels.transpose(1, 2, 0))
            how = Image.Resampling.NEAREST if side >= one.width else Image.Resampling.LANCZOS
            sheet.paste(one.resize((side, side), how), (left, top))
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def picture_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture, uint8 (3, h, w), as the address of an ``img``."""
    stream = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
