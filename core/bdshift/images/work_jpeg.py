"""Limits the work of reading a JPEG: Pillow walks over its markers one by one, in Python, and every
scan covers all pixels.
"""

from __future__ import annotations

from collections import Counter

from bdshift.errors import InputError

MAX_SCANS = 100
"""Scans of a progressive JPEG. Each one covers all pixels; encoders write about ten."""

_MAX_SCANNED = 1_300_000_000  # pixels times scans: 16 scans of the largest image
_MAX_MARKERS = 2000  # before the pixels, fill bytes included; a profile or XMP may take hundreds
_MAX_TABLE_BYTES = 64 * 1024  # of quantization; four tables take half a KiB
_MAX_PHOTOSHOP_BYTES = 1024 * 1024
_START, _TABLES, _EXIF, _PHOTOSHOP = 0xDA, 0xDB, 0xE1, 0xED
_BARE = frozenset({0x00, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})  # no length follows
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def check_jpeg(data: bytes, most_exif: int) -> None:
    """Raise `InputError` for a JPEG that asks for more work than any real one; ``most_exif`` is in
    bytes.
    """
    scans = data.count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise InputError("a JPEG with more than {most} scans", most=MAX_SCANS)
    held: Counter[int] = Counter()
    pixels, at = 0, 2
    for _ in range(_MAX_MARKERS):
        if at + 4 > len(data):
            return  # truncated: the decoder will say so
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:
            at += 1  # what Pillow skips, byte by byte
            continue
        if marker in _BARE:
            at += 2
            continue
        if marker == _START:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker != _EXIF or data[at + 4 : at + 10] == b"Exif\0\0":
            held[marker] += length
        if marker in _FRAMES:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            pixels = max(pixels, int.from_bytes(height, "big") * int.from_bytes(width, "big"))
        at += 2 + max(2, length)
    else:
        raise InputError("a JPEG with more than {most} markers", most=_MAX_MARKERS)
    if held[_EXIF] > most_exif:
        raise InputError("has EXIF data of more than {most} KiB", most=most_exif >> 10)
    if held[_TABLES] > _MAX_TABLE_BYTES or held[_PHOTOSHOP] > _MAX_PHOTOSHOP_BYTES:
        raise InputError("a JPEG with far more tables than its pixels need")
    if scans * pixels > _MAX_SCANNED:
        raise InputError(
            "a JPEG with {scans} scans of {pixels} megapixels",
            scans=scans, pixels=pixels // 1_000_000,
        )  # fmt: skip
