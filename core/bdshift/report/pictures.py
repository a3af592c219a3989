"""Pictures inside a report's page."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def picture_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture, uint8 (3, h, w), as the address of an ``img``."""
    stream = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
