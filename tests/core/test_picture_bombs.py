"""Pictures of a few megabytes that would keep a decoder busy for minutes, and honest ones with
much in them. What they cost is counted.
"""

from __future__ import annotations

import io
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bounded import calls_at_most, peak_at_most
from PIL import Image, features

from bdshift.errors import InputError
from bdshift.images import collection, loader
from bdshift.images.collection import open_images
from bdshift.images.decode import decode_image
from bdshift.jobs import Canceled, JobContext

MANY = 400_000
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def encoded(form: str, pixels: np.ndarray = NOISE, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


JPEG, GIF, PNG = encoded("JPEG"), encoded("GIF", NOISE[..., 0]), encoded("PNG")


def in_jpeg(data: bytes) -> bytes:
    return JPEG[:2] + data + JPEG[2:]


def in_gif(data: bytes) -> bytes:
    at = 13 + 3 * 256  # behind its palette
    return GIF[:at] + data + GIF[at:]


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def in_png(data: bytes) -> bytes:
    return PNG[:33] + data + PNG[33:]


def directory(*rows: tuple[int, int, int, int], order: str = "<", magic: bytes = b"II*\0") -> bytes:
    """TIFF or EXIF data: tag, type, count, value."""
    packed = b"".join(struct.pack(f"{order}HHLL", *row) for row in rows)
    return magic + struct.pack(f"{order}LH", 8, len(rows)) + packed + bytes(4)


def overlapping(count: int, size: int) -> list[tuple[int, int, int, int]]:
    return [(1000 + i, 7, size, 8) for i in range(count)]


def jpeg_of_scans() -> bytes:
    """A hundred scans of 79 megapixels."""
    stream = io.BytesIO()
    Image.new("L", (160, 160)).save(stream, "JPEG", progressive=True)
    data = bytearray(stream.getvalue())
    frame = data.index(b"\xff\xc2")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 8900, 8900)
    scan = data.rindex(b"\xff\xda")
    return bytes(data[:-2] + data[scan:-2] * 90 + data[-2:])


def packed_bitmap(width: int, height: int, *, whole: bool) -> bytes:
    """A jump of 255 rows, in a file of its own or without the file's header."""
    header = struct.pack("<LllHHLLllLL", 40, width, height, 1, 8, 1, 0, 0, 0, 0, 0) + bytes(1024)
    data = header + b"\0\2\0\xff" * 8 + b"\0\1"
    return (
        (b"BM" + struct.pack("<LLL", len(data) + 14, 0, 14 + len(header)) + data) if whole else data
    )


def codestream(tile: int, parts: int = 3, before: bytes = b"") -> bytes:
    """The header of a JPEG 2000 image of 4000 by 4000 pixels."""
    size = struct.pack(">HLLLLLLLLH", 0, 4000, 4000, 0, 0, tile, tile, 0, 0, parts)
    size += b"\7\1\1" * parts
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size + before + b"\xff\x90"


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "comments in a header": (lambda: b"P6\n" + b"#\n" * MANY + b"2 2\n255\n" + bytes(12), "header"),
    "one long comment": (lambda: b"P5\n#" + b"a" * MANY + b"\n2 2\n255\n" + bytes(4), "header"),
    "spaces in a header": (lambda: b"P6\n" + b" " * MANY + b"2 2\n255\n" + bytes(12), "header"),
    "comments of a float map": (lambda: b"Pf\n" + b"#\n" * MANY + b"2 2\n1.0\n", "comments"),
    "comments among numbers": (
        lambda: b"P3\n20 20\n255\n" + b"#\n" * MANY + b"1 " * 1200, "comments"),
    "comments among bits": (lambda: b"P1\n20 20\n" + b"#\n" * MANY + b"1 " * 400, "comments"),
    "numbers as text": (lambda: b"P2\n4000 4000\n255\n" + b"1 " * 16_000_000, "as text"),
    "fill bytes": (lambda: in_jpeg(b"\xff" * MANY), "markers"),
    "fill bytes after a marker": (lambda: in_jpeg(b"\xff\xfe\0\2" + b"\xff" * MANY), "markers"),
    "bytes between markers": (lambda: in_jpeg(b"\xff\xfe\0\2" + bytes(MANY)), "markers"),
    "escaped bytes": (lambda: in_jpeg(b"\xff\0" * MANY), "markers"),
    "restart markers": (lambda: in_jpeg(b"\xff\xd0" * MANY), "markers"),
    "empty markers": (lambda: in_jpeg(b"\xff\xfe\0\2" * MANY), "markers"),
    "tables": (
        lambda: in_jpeg((b"\xff\xdb\xff\xff" + (b"\0" + b"\1" * 64) * 1008 + bytes(13)) * 60),
        "tables"),
    "resources": (
        lambda: in_jpeg(
            (b"\xff\xed\xff\xfePhotoshop 3.0\0" + (b"8BIM" + bytes(8)) * 5459 + bytes(10)) * 60),
        "tables"),
    "EXIF in many parts": (
        lambda: in_jpeg((b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)) * 100), "EXIF"),
    "EXIF that names the same bytes": (
        lambda: in_png(chunk(b"eXIf", directory(*overlapping(60_000, 700_000)))), "EXIF"),
    "scans of many pixels": (jpeg_of_scans, "scans of 79 megapixels"),
    "chunks": (lambda: in_png(chunk(b"tEXt", b"a\0b") * MANY), "chunks"),
    "unknown chunks": (lambda: in_png(chunk(b"abCd") * MANY), "chunks"),
    "empty chunks of pixels": (lambda: in_png(chunk(b"IDAT") * MANY), "chunks"),
    "chunks behind the pixels": (lambda: PNG[:-12] + chunk(b"abCd") * MANY + PNG[-12:], "chunks"),
    "profiles": (
        lambda: in_png(chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 500),
        "chunks"),
    "comments of a GIF": (lambda: in_gif(b"\x21\xfe\1a\0" * MANY), "blocks"),
    "blocks of a comment": (lambda: in_gif(b"\x21\xfe" + b"\1a" * MANY + b"\0"), "blocks"),
    "bytes between blocks": (lambda: in_gif(b"\1" * MANY), "blocks"),
    "tags": (lambda: directory(*overlapping(60_000, 4)), "tags"),
    "tags that name the same bytes": (
        lambda: directory(*overlapping(400, 10**6)) + bytes(10**6), "tags"),
    "strips, other byte order": (
        lambda: directory((273, 4, 500_000, 8), order=">", magic=b"MM*\0"), "strips"),
    "a tile of a gigabyte": (
        lambda: directory(
            (256, 3, 1, 10), (257, 3, 1, 10), (322, 4, 1, 30_000), (323, 3, 1, 30_000)),
        "tiles"),
    "a jump over rows": (lambda: packed_bitmap(79_000_000, 1, whole=True), "run-length"),
    "a jump without a file header": (
        lambda: packed_bitmap(79_000_000, 1, whole=False), "run-length"),
    "tiles": (lambda: codestream(16), "tiles"),
    "components": (lambda: codestream(4000, 16_384), "tiles"),
    "boxes": (lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x08free" * MANY, "boxes"),
    "markers of JPEG 2000": (lambda: codestream(4000, 3, b"\xff\x55\0\2" * MANY), "boxes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_pictures_that_ask_for_much(name: str) -> None:
    make, words = BOMBS[name]
    data = make()
    assert len(data) < 40_000_000
    with calls_at_most(300_000), peak_at_most(64 * 2**20), pytest.raises(InputError, match=words):
        decode_image(data, 32)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_of_an_avif_is_looked_at_before_the_decoder_does(order: str) -> None:
    magic = b"II*\0" if order == "<" else b"MM\0*"
    rows = overlapping(20_000, 200_000)
    evil = directory(*rows, order=order, magic=magic)
    good = directory((0x010E, 2, 9, 26), order=order, magic=magic).ljust(len(evil), b"Z")
    data = encoded("AVIF", exif=good)
    assert good in data
    with pytest.raises(InputError, match="EXIF"):  # by their size
        decode_image(data, 32)
    assert decode_image(encoded("AVIF", exif=good[:9000]), 32).any()
    with pytest.raises(InputError, match="EXIF"):
        decode_image(data.replace(good, evil), 32)


def test_honest_pictures_are_read() -> None:
    rows = [NOISE.astype(int) // 2, NOISE.astype(int) % 2]
    color = b"P3 # made by hand\n64 48\n# and checked\n255\n" + b"\n".join(
        b" ".join(b"%d" % value for value in row) for row in NOISE.reshape(48, -1)
    )
    assert np.array_equal(decode_image(color, 48), decode_image(PNG, 48))
    for most in (100, 255, 1000, 65535):
        values = NOISE[..., 0].astype(int) * most // 255
        plain = f"P2\n64 48\n{most}\n".encode() + b" ".join(b"%d" % v for v in values.ravel())
        kind = np.uint8 if most < 256 else ">u2"
        binary = f"P5\n64 48\n{most}\n".encode() + values.astype(kind).tobytes()
        expected = decode_image(encoded("PNG", NOISE[..., 0]), 48).astype(int)
        for data in (plain, binary):
            assert np.abs(decode_image(data, 48).astype(int) - expected).max() <= 3, most
    bits = b"P1\n64 48\n" + b"".join(b"%d" % value for value in rows[1][..., 0].ravel())
    black = decode_image(encoded("PNG", (255 - 255 * rows[1][..., 0]).astype(np.uint8)), 48)
    assert np.array_equal(decode_image(bits, 48), black)
    xmp = b"\xff\xe1\xff\xffhttp://ns.adobe.com/xmp/extension/\0" + bytes(65_498)
    profile = b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + bytes(65_519)
    exif = b"\xff\xe1\xff\xfeExif\0\0" + directory((0x0112, 3, 1, 1)).ljust(65_526, b"\0")
    honest = {
        "JPEG": in_jpeg(exif + profile * 60 + xmp * 200 + b"\xff" * 20),
        "progressive": encoded("JPEG", progressive=True, quality=95),
        "PNG": in_png(chunk(b"tEXt", b"a\0b") * 100),
        "GIF": in_gif(b"\x21\xff\x0bXMP DataXMP" + (b"\x40" + b"a" * 64) * 5000 + b"\0"),
        "BMP": encoded("BMP"),
        "TIFF": encoded("TIFF", compression="tiff_lzw"),
        "WEBP": encoded("WEBP", exif=directory((0x0112, 3, 1, 1))),
        "JPEG2000": encoded("JPEG2000"),
        "many IDAT": PNG[:33] + b"".join(chunk(b"IDAT") for _ in range(9000)) + PNG[33:],
    }  # fmt: skip
    for name, data in honest.items():
        assert decode_image(data, 32).shape == (3, 32, 32), name


def test_cancel_does_not_wait_for_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for the others of its chunk: none is begun after it."""
    (tmp_path / "cat").mkdir()
    for number in range(64):
        (tmp_path / "cat" / f"{number}.png").write_bytes(PNG)
    begun: list[int] = []
    started, released = threading.Event(), threading.Event()

    def slow(data: bytes, size: int, *_: object) -> np.ndarray:
        begun.append(size)
        started.set()
        assert released.wait(60)
        return np.zeros((3, size, size), np.uint8)

    monkeypatch.setattr(collection, "decode_image", slow)
    monkeypatch.setattr(loader, "_workers", lambda: 1)
    found, job = open_images(tmp_path), JobContext()
    ended: list[BaseException] = []

    def run() -> None:
        try:
            loader.decode_all(found, found.files, 8, job=job)
        except Canceled as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(60)
    job.cancel()
    thread.join(60)
    assert len(ended) == 1, "Cancel waits for the picture"
    released.set()
    for _ in range(100):
        if not any(one.name.startswith("decode") for one in threading.enumerate()):
            break
        time.sleep(0.05)
    assert len(begun) == 1
