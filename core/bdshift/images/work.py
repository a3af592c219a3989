"""Limits the work a small file makes for its decoder: in every format, some bytes ask for far more
than they are worth. A decoder cannot be stopped, so what it would be given is counted beforehand.

The limits are on what a file holds, not on seconds: results must not depend on the machine.
"""

from __future__ import annotations

import struct

from bdshift.errors import InputError
from bdshift.images.work_blocks import check_gif, check_jpeg2000, check_png
from bdshift.images.work_jpeg import check_jpeg

MAX_EXIF_BYTES = 128 * 1024
"""Of EXIF data, in which entries may share bytes. Cameras write less than 64 KiB."""

MAX_STRIPS = 10_000
"""Strips of a TIFF. Pillow creates an object for each; usually a strip holds several rows."""

_MAX_TAGS = 500  # of a TIFF; usually under 40
_MAX_TAG_BYTES = 16 * 1024 * 1024  # of all its tags' values, which may overlap
_MAX_TILE_SIDE = 8192  # pixels; a tile is unpacked whole, whatever the size of the image
_MAX_RLE_SIDE = 4096  # pixels; Pillow unpacks such bitmaps in Python, and a jump may skip 255 rows
_MAX_RLE_BYTES = 1024 * 1024
_MAX_REPEATS = 64  # times that EXIF data may name the same bytes
_STRIP_OFFSETS, _TILE_OFFSETS, _TILE_SIDES = 273, 324, (322, 323)
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes


def check_work(data: bytes) -> None:
    """Raise `InputError` for an image that would take longer to decode than any real one."""
    if data.startswith(b"\xff\xd8"):
        check_jpeg(data, MAX_EXIF_BYTES)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        check_png(data)
    elif data.startswith(b"GIF8"):
        check_gif(data)
    elif data.startswith((b"II", b"MM")):
        _check_tiff(data)
    elif data.startswith((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")):
        check_jpeg2000(data)
    elif data.startswith(b"BM"):
        _check_bitmap(data[14:54], len(data))
    elif data[:2] in (b"Pf", b"PF", b"P0", b"Py") and b"#" in data[:4096]:
        raise InputError("a floating-point netpbm picture with comments")
    elif data[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1"):
        _check_avif(data)
    elif int.from_bytes(data[:4], "little") in _BITMAP_HEADERS:
        _check_bitmap(data[:40], len(data))


def check_exif(info: object) -> None:
    """Raise `InputError` for EXIF data that would take long to read. ``info`` is Pillow's, a dict
    of what an image's header told.
    """
    held = info if isinstance(info, dict) else {}
    raw, as_text = held.get("exif", b""), held.get("Raw profile type exif", "")
    if len(raw) > MAX_EXIF_BYTES or len(as_text) > 2 * MAX_EXIF_BYTES:
        raise InputError("has EXIF data of more than {most} KiB", most=MAX_EXIF_BYTES >> 10)


def _check_tiff(data: bytes) -> None:
    """The tags of the first image; Pillow accepts the magic number in either byte order."""
    if data[2:4] in (b"+\0", b"\0+"):
        raise InputError("a BigTIFF, which no small image needs")
    rows = _tags(data)
    if len(rows) > _MAX_TAGS:
        raise InputError("a TIFF with more than {most} tags", most=_MAX_TAGS)
    if any(tag in (_STRIP_OFFSETS, _TILE_OFFSETS) and n > MAX_STRIPS for tag, _, n, _ in rows):
        raise InputError("a TIFF with more than {most} strips", most=MAX_STRIPS)
    if _tag_bytes(rows, _MAX_TAG_BYTES + 1) > _MAX_TAG_BYTES:
        raise InputError("a TIFF with more than {most} MiB of tags", most=_MAX_TAG_BYTES >> 20)
    if any(tag in _TILE_SIDES and side > _MAX_TILE_SIDE for tag, _, _, side in rows):
        raise InputError("a TIFF with tiles of more than {most} pixels a side", most=_MAX_TILE_SIDE)


def _tags(data: bytes, at: int = 0) -> list[tuple[int, int, int, int]]:
    """Tag, type, count and value of all entries of the first directory of TIFF or EXIF data; none
    if it is cut short, which the decoder will say.
    """
    order = "<" if data[at : at + 1] == b"I" else ">"
    try:
        start = at + struct.unpack_from(f"{order}L", data, at + 4)[0]
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        places = range(start + 2, start + 2 + 12 * entries, 12)
        return [
            struct.unpack_from(f"{order}HHLH2x", data, place)
            if data[place + 2 : place + 4] in (b"\3\0", b"\0\3")
            else struct.unpack_from(f"{order}HHLL", data, place)
            for place in places
        ]
    except struct.error:
        return []


def _tag_bytes(rows: list[tuple[int, int, int, int]], most: int) -> int:
    """Bytes of all values, each counted as at most ``most``; they may overlap."""
    return sum(min(most, _TYPE_BYTES.get(kind, 0) * count) for _, kind, count, _ in rows)


def _check_avif(data: bytes) -> None:
    """Its EXIF data may be anywhere, and Pillow reads them before it tells any size. What looks
    like their beginning by chance does not add up to this much.
    """
    for mark in (b"II*\0", b"MM\0*"):
        at = data.find(mark)
        while at >= 0:
            if _tag_bytes(_tags(data, at), len(data)) > _MAX_REPEATS * len(data):
                raise InputError("has EXIF data of more than {most} KiB", most=MAX_EXIF_BYTES >> 10)
            at = data.find(mark, at + 4)


def _check_bitmap(header: bytes, size: int) -> None:
    """A BMP's header, from its length on."""
    if len(header) < 20 or header[:4] == b"\x0c\0\0\0":
        return  # truncated; or the oldest kind, which is never packed
    width, height = struct.unpack_from("<ll", header, 4)
    packed = int.from_bytes(header[16:20], "little") in (1, 2)
    if packed and (max(abs(width), abs(height)) > _MAX_RLE_SIDE or size > _MAX_RLE_BYTES):
        raise InputError(
            "a run-length packed BMP of more than {most} pixels a side or {size} MiB",
            most=_MAX_RLE_SIDE, size=_MAX_RLE_BYTES >> 20,
        )  # fmt: skip
