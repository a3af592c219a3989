"""Decodes one image into pixels: upright, RGB, uint8, at the network's input size."""

from __future__ import annotations

import io
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from bdshift.errors import InputError
from bdshift.images.framing import USUAL, Framing
from bdshift.images.netpbm import as_binary, is_netpbm
from bdshift.images.work import check_exif, check_work
from bdshift.words import Sentence

MAX_PIXELS = 80_000_000
"""A larger image is rejected before it is decoded: a few kilobytes can claim gigapixels."""

_HEAVY_PIXELS = 16_000_000
_heavy = threading.Lock()
"""Held while an image of more pixels is decoded. A pixel takes up to 20 bytes in some decoders, and
loaders decode eight images at once.
"""

# Only formats that consist of pixels and are decoded in this process. Pillow's others include one
# that starts a PostScript interpreter (EPS), and many that nobody stores photographs in.
_FORMATS = "PNG JPEG BMP DIB GIF WEBP TIFF PPM TGA JPEG2000 AVIF".split()

_ORIENTATION = 0x0112  # the EXIF tag


@cache
def _formats() -> list[str]:
    """Those that this build of Pillow has. JPEG includes the multi-image files of phones."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def open_picture(data: bytes) -> Image.Image:
    """An encoded image whose header has been read, but not its pixels; the suffix does not matter.

    Raises what Pillow's decoders raise, and `InputError` if it is larger than `MAX_PIXELS`.
    """
    check_work(data)
    if is_netpbm(data):
        data = as_binary(data)
    image = Image.open(io.BytesIO(data), formats=_formats())
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise InputError(_too_large())
    check_exif(image.info)
    return image


def _too_large() -> Sentence:
    return Sentence("larger than {count} megapixels", {"count": MAX_PIXELS // 1_000_000})


def _is_heavy(image: Image.Image) -> bool:
    """Whether all of a large image will be in memory at once. Of a JPEG that is decoded in one
    pass, only what `Image.draft` leaves of it will be.
    """
    in_one_pass = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
    return image.width * image.height > _HEAVY_PIXELS and not in_one_pass


@dataclass(frozen=True)
class Square:
    """What a picture becomes: its side in pixels, and how."""

    size: int
    framing: Framing


def _fit(image: Image.Image, square: Square) -> Image.Image:
    """The part of the picture that the framing takes, scaled.

    Only that part is scaled: for an image one pixel wide, the rest would be enormous.
    """
    size, framing = square.size, square.framing
    if image.size == (size, size):
        return image
    width, height = image.size
    if framing.fit == "pad" and width != height:
        scale = size / max(width, height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        padded = Image.new(image.mode, (size, size))
        scaled = image.resize(inner, Image.Resampling.BILINEAR)
        padded.paste(scaled, ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return padded
    box = framing.box(width, height, size)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)


def _to_rgb(image: Image.Image, square: Square, form: str | None) -> Image.Image:
    """Fitted and converted to 8-bit RGB: a palette before scaling, 16 bits after; alpha is dropped,
    as in training code.
    """
    if image.mode.startswith(("I", "F")):
        white = _white(image, form)
        deep = np.asarray(_fit(image.convert("F" if image.mode == "F" else "I"), square))
        if not np.isfinite(deep).all():
            raise InputError("holds values that are not numbers (NaN or infinity)")
        scaled = np.rint(deep * (255 / white))
        return Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P":
        image.info.pop("transparency", None)  # the palette's colors count, as in training code
    return _fit(image.convert("RGB"), square)


def _white(image: Image.Image, form: str | None) -> int:
    """The value that stands for white. Raises `InputError` if the values are not on a usual scale.

    16 bits always stand for their whole range; otherwise a dark image would become a bright one.
    What Pillow holds in 32 bits may be 16-bit (PGM, always scaled to that), or a TIFF of numbers of
    any kind, where only the values can tell.
    """
    if image.mode.startswith("I;16") or (form == "PPM" and image.mode == "I"):
        return 65535
    extrema: Any = image.getextrema()
    least, most = extrema
    if not 0 <= least <= most <= 65535:
        raise InputError(
            "its values range from {least:.4g} to {most:.4g}, which is not a usual scale",
            least=float(least), most=float(most),
        )  # fmt: skip
    if image.mode == "F" and most <= 1:
        return 1
    return 255 if most <= 255 else 65535


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header alone.

    Raises `InputError` if ``data`` is not an image.
    """
    try:
        with open_picture(data) as image:
            return image.size
    except InputError:
        raise
    except Exception as error:
        raise InputError(_reason(error)) from error


def is_turned(data: bytes) -> bool:
    """Whether a photograph's EXIF data say to turn or mirror it; from the header alone."""
    try:
        with open_picture(data) as image:
            photo = image.format in ("JPEG", "MPO", "TIFF", "WEBP")  # elsewhere it may come last
            return photo and image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # decoding it will say what is wrong
        return False


def decode_image(data: bytes, size: int, framing: Framing = USUAL) -> NDArray[np.uint8]:
    """Decode an encoded image: uint8 of shape (3, size, size), RGB, made square by ``framing``: by
    default its center, with the EXIF orientation applied.

    Raises `InputError` with a short reason if it is not an image, broken, or larger than
    `MAX_PIXELS`.
    """
    try:
        with open_picture(data) as image, _heavy if _is_heavy(image) else nullcontext():
            image.draft("RGB", (2 * size, 2 * size))  # lets JPEG decode to a fraction of its size
            form = image.format
            image.load()
            check_exif(image.info)  # a PNG may have it behind its pixels
            if framing.upright:
                ImageOps.exif_transpose(image, in_place=True)
            pixels = np.asarray(_to_rgb(image, Square(size, framing), form))
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders may raise anything from OSError to struct.error
        raise InputError(_reason(error)) from error
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _reason(error: Exception) -> Sentence:
    if isinstance(error, UnidentifiedImageError):
        return Sentence("not an image")
    if isinstance(error, Image.DecompressionBombError):
        return _too_large()
    if str(error):
        return Sentence("broken image ({reason})", {"reason": str(error)})
    return Sentence("broken image")
