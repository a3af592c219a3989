"""Limits the work a small file makes for its decoder: in two formats, a few bytes can ask for
hours.
"""

from __future__ import annotations

import struct

from bdshift.errors import InputError

MAX_SCANS = 100
"""Scans of a progressive JPEG. Each one covers all pixels; encoders write about ten."""

MAX_STRIPS = 10_000
"""Strips of a TIFF. Pillow creates an object for each; usually a strip holds several rows."""

_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


def check_work(data: bytes) -> None:
    """Raise `InputError` for an image that would take longer to decode than any real one."""
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MAX_SCANS:
        raise InputError("a JPEG with more than {most} scans", most=MAX_SCANS)
    if data[:4] in (b"II*\0", b"MM\0*") and _strips(data) > MAX_STRIPS:
        raise InputError("a TIFF with more than {most} strips", most=MAX_STRIPS)
    if data[:4] in (b"II+\0", b"MM\0+"):
        raise InputError("a BigTIFF, which no small image needs")


def _strips(data: bytes) -> int:
    """Strips or tiles that the first image of a TIFF lists."""
    order = "<" if data[:1] == b"I" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        rows = [
            struct.unpack_from(f"{order}HHL", data, start + 2 + 12 * row) for row in range(entries)
        ]
    except struct.error:
        return 0  # truncated: the decoder will say so
    lists = (_STRIP_OFFSETS, _TILE_OFFSETS)
    return max((count for tag, _, count in rows if tag in lists), default=0)
