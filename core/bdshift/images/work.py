"""How much work a small file makes for its decoder: two formats let a few bytes ask for hours."""

from __future__ import annotations

import struct

from bdshift.errors import InputError

MAX_SCANS = 100
"""Of a progressive JPEG. Each one passes over all pixels; encoders write about ten."""

MAX_STRIPS = 10_000
"""Of a TIFF. Pillow makes an object of each; usual ones hold several rows."""

_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


def check_work(data: bytes) -> None:
    """Raise `InputError` for a picture whose decoding would take longer than any real one's."""
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MAX_SCANS:
        raise InputError(f"a JPEG of more than {MAX_SCANS} scans")
    if data[:4] in (b"II*\0", b"MM\0*") and _strips(data) > MAX_STRIPS:
        raise InputError(f"a TIFF of more than {MAX_STRIPS} strips")
    if data[:4] in (b"II+\0", b"MM\0+"):
        raise InputError("a BigTIFF, which no small picture needs")


def _strips(data: bytes) -> int:
    """Strips or tiles that the first picture of a TIFF lists."""
    order = "<" if data[:1] == b"I" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        rows = [
            struct.unpack_from(f"{order}HHL", data, start + 2 + 12 * row) for row in range(entries)
        ]
    except struct.error:
        return 0  # cut off: the decoder will say so
    lists = (_STRIP_OFFSETS, _TILE_OFFSETS)
    return max((count for tag, _, count in rows if tag in lists), default=0)
