"""Limits the work of reading formats made of blocks: Pillow reads each one in Python, so a file of
empty ones takes minutes.
"""

from __future__ import annotations

from bdshift.errors import InputError

_MAX_PIXEL_CHUNKS = 20_000  # of a PNG; encoders write 8 KiB or more in each
_MAX_OTHER_CHUNKS = 200  # each may unpack to a megabyte
_PIXEL_CHUNKS = frozenset({b"IDAT", b"fdAT", b"fcTL"})
_MAX_GIF_BLOCKS = 10_000  # before the first picture; an XMP comment takes hundreds
_MAX_BOXES = 1000  # of JPEG 2000, and markers in its header
_MAX_PARTS = 4096  # tiles of JPEG 2000 times components: the decoder keeps a record for each


def check_png(data: bytes) -> None:
    """Raise `InputError` for too many chunks."""
    pixels, others, at = 0, 0, 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] in _PIXEL_CHUNKS:
            pixels += 1
        else:
            others += 1
        if pixels > _MAX_PIXEL_CHUNKS or others > _MAX_OTHER_CHUNKS:
            raise InputError(
                "a PNG with more than {most:,} chunks of pixels or {others} others",
                most=_MAX_PIXEL_CHUNKS, others=_MAX_OTHER_CHUNKS,
            )  # fmt: skip
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def check_gif(data: bytes) -> None:
    """Raise `InputError` for too many blocks, or bytes between them, before the first picture."""
    flags = data[10] if len(data) > 10 else 0
    at = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    inside = False  # of an extension, whose blocks begin with their length
    for _ in range(_MAX_GIF_BLOCKS):
        if at >= len(data) or (not inside and data[at] in b",;"):
            return
        if inside:
            inside = data[at] > 0
            at += 1 + data[at]
        else:
            inside = data[at] == 0x21
            at += 2 if inside else 1
    raise InputError("a GIF with more than {most:,} blocks before its picture",
                     most=_MAX_GIF_BLOCKS)  # fmt: skip


def check_jpeg2000(data: bytes) -> None:
    """Raise `InputError` for too many boxes, markers, or tiles."""
    boxes = data[:4] != b"\xff\x4f\xff\x51"
    at = 0
    for _ in range(_MAX_BOXES):
        if not boxes or at + 8 > len(data):
            break
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"jp2h":
            length = 8  # go inside
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if kind == b"jp2c" or length < 8:
            break
        at += length
    else:
        _refuse_boxes()
    start = data.find(b"\xff\x4f\xff\x51", at)
    if start < 0:
        return
    _check_tiles(data[start + 6 : start + 42])
    at = start + 2
    for _ in range(_MAX_BOXES):
        if at + 4 > len(data) or data[at + 1] in (0x90, 0x93, 0xD9):
            return
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    _refuse_boxes()


def _check_tiles(header: bytes) -> None:
    """The marker that tells sizes, from its capabilities on."""
    if len(header) < 36:
        return
    sizes = [int.from_bytes(header[at : at + 4], "big") for at in range(2, 34, 4)]
    width, height, _, _, tile_width, tile_height, left, top = sizes
    if not tile_width or not tile_height:
        return
    across = -(-max(0, width - left) // tile_width)
    down = -(-max(0, height - top) // tile_height)
    if across * down * int.from_bytes(header[34:36], "big") > _MAX_PARTS:
        raise InputError(
            "a JPEG 2000 image with more than {most} tiles times components", most=_MAX_PARTS
        )


def _refuse_boxes() -> None:
    raise InputError("a JPEG 2000 image with more than {most} boxes", most=_MAX_BOXES)
