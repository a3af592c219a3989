"""Netpbm pictures (PGM, PPM, PBM) in forms that Pillow reads number by number, in Python, written
again in the form that it reads at once.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.words import Sentence

_MAX_HEADER_BYTES = 4096  # comments included; programs write one short line
_MAX_PLAIN_BYTES = 16 * 1024 * 1024  # of numbers as text
_MAX_COMMENTS = 1000
_TOKEN = re.compile(rb"(?:#[^\r\n]*[\r\n]|[ \t\n\v\f\r])*([0-9]{1,10})")
_COMMENT = re.compile(rb"#[^\r\n]*")
_SPACES, _DIGITS = b" \t\n\v\f\r", b"0123456789"
_ALIKE = bytes.maketrans(_SPACES + _DIGITS, b" " * len(_SPACES) + b"0" * len(_DIGITS))
_CUT_SHORT = Sentence("broken image (it is cut short)")
_BITS, _PLAIN, _COLOR = b"14", b"123", b"36"


def is_netpbm(data: bytes) -> bool:
    """Whether it begins like one, of the kinds that hold whole numbers."""
    return data[:1] == b"P" and data[1:2] in tuple(b"%d" % n for n in range(1, 7))


def as_binary(data: bytes) -> bytes:
    """The same picture as P4, P5 or P6, in 8 or 16 bits whose largest value is white.

    Raises `InputError` if its header is too long, or it is broken.
    """
    kind = data[1:2]
    (width, height, *rest), start = _header(data, 2 if kind in _BITS else 3)
    white = rest[0] if rest else 1
    deep = white > 255 and kind not in _COLOR
    most = 65535 if deep else 255
    if not 0 < white < 65536 or (kind not in _PLAIN and (kind in _BITS or white == most)):
        return data
    count = width * height * (3 if kind in _COLOR else 1)
    if kind in _PLAIN:
        values = _plain(data[start:], count, white, bits=kind in _BITS)
    else:
        stored = np.dtype(np.uint8 if white < 256 else ">u2")
        if len(data) - start < count * stored.itemsize:
            raise InputError(_CUT_SHORT)
        values = np.minimum(np.frombuffer(data, stored, count, start), white)
    scale = np.rint(np.arange(white + 1) / white * most).astype(">u2" if deep else np.uint8)
    if kind in _BITS:
        scale = scale[::-1]  # 1 is black
    form = "P6" if kind in _COLOR else "P5"
    return f"{form}\n{width} {height}\n{most}\n".encode() + scale[values].tobytes()


def _header(data: bytes, count: int) -> tuple[list[int], int]:
    """That many numbers after the two letters, and where the pixels begin."""
    head, at, found = data[:_MAX_HEADER_BYTES], 2, []
    for _ in range(count):
        matched = _TOKEN.match(head, at)
        if matched is None or matched.end() >= len(head):
            if len(data) > _MAX_HEADER_BYTES:
                raise InputError("has a header of more than {most} bytes", most=_MAX_HEADER_BYTES)
            raise InputError(_CUT_SHORT)
        found.append(int(matched[1]))
        at = matched.end()
    return found, at + 1


def _plain(text: bytes, count: int, white: int, *, bits: bool) -> NDArray[Any]:
    """``count`` numbers in digits; those of a bitmap may stand without spaces between them."""
    if len(text) > _MAX_PLAIN_BYTES:
        raise InputError(
            "has more than {most} MiB of numbers written as text", most=_MAX_PLAIN_BYTES >> 20
        )
    if text.count(b"#") > _MAX_COMMENTS:
        raise InputError("has more than {most} comments", most=_MAX_COMMENTS)
    text = _COMMENT.sub(b"", text)
    if text.translate(None, _SPACES + _DIGITS):
        raise InputError("broken image (it holds something that is not a number)")
    digits = text.translate(None, _SPACES)
    # Where numbers are missing, NumPy would give what happens to be in memory.
    if count > (len(digits) if bits else (b" " + text.translate(_ALIKE)).count(b" 0")):
        raise InputError(_CUT_SHORT)
    values: NDArray[Any]
    if bits:
        values = np.frombuffer(digits, np.uint8, count) - np.uint8(ord("0"))
    else:
        values = np.fromstring(text, np.int64, count, sep=" ")
    if count and int(values.max()) > white:
        raise InputError("broken image (a value is beyond its scale)")
    return values
