"""Encoded pictures of every depth and color give the pixels that they should."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_set_files import (
    COUNT,
    GRAY,
    PIXELS,
    RNG,
    png,
)
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import InputError
from bdshift.images import decode
from bdshift.images.decode import decode_image


def test_sixteen_bit_pictures_are_rounded(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (32, 32), dtype=np.uint16)
    exact = np.array([[(int(v) * 2 * 255 + 65535) // (2 * 65535) for v in row] for row in deep])
    dark = RNG.integers(0, 200, (32, 32), dtype=np.uint16)  # black, not what 8 bits would say
    for form in ("PNG", "TIFF", "PPM"):
        for values, want in ((deep, exact), (dark, np.rint(dark / 257))):
            stream = io.BytesIO()
            Image.fromarray(values).save(stream, form)
            got = decode_image(stream.getvalue(), 32)
            assert np.array_equal(got[0], want), form
            assert np.array_equal(got[0], got[2])


def raw_png(depth: int, color: int, samples: NDArray[Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand: samples are (h, w·channels), big-endian where they have 16 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, row_bytes = samples.shape[0], samples.nbytes // samples.shape[0]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    width = row_bytes * 8 // (depth * channels)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
        + b"".join(chunk(*item) for item in chunks) + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize(("color", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colors(color: int, channels: int) -> None:
    """Pillow keeps the upper byte of these: at most one level from rounding."""
    samples = RNG.integers(0, 65536, (32, 32, channels), dtype=np.uint16)
    got = decode_image(raw_png(16, color, samples.reshape(32, -1).astype(">u2")), 32)
    shown = samples[..., :1].repeat(3, axis=2) if channels == 2 else samples[..., :3]
    assert np.abs(got.transpose(1, 2, 0) - shown / 257).max() <= 1


def test_palettes_and_bits() -> None:
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    indices = RNG.integers(0, 256, (32, 32), dtype=np.uint8)
    transparent = (b"tRNS", bytes(256))
    for extra in ((), (transparent,)):
        got = decode_image(raw_png(8, 3, indices, (b"PLTE", palette.tobytes()), *extra), 32)
        assert np.array_equal(got.transpose(1, 2, 0), palette[indices])
    packed = RNG.integers(0, 256, (32, 4), dtype=np.uint8)
    got = decode_image(raw_png(1, 0, packed), 32)
    assert np.array_equal(got[0], np.unpackbits(packed, axis=1) * 255)
    nibbles = RNG.integers(0, 256, (32, 16), dtype=np.uint8)
    got = decode_image(raw_png(4, 0, nibbles), 32)
    assert np.array_equal(
        got[1], np.stack([nibbles >> 4, nibbles & 15], axis=2).reshape(32, 32) * 17
    )
    with_alpha = RNG.integers(0, 256, (32, 32, 2), dtype=np.uint8)
    got = decode_image(raw_png(8, 4, with_alpha.reshape(32, -1)), 32)
    assert np.array_equal(got[2], with_alpha[..., 0])


def test_cmyk_jpegs_with_and_without_adobe() -> None:
    ink = np.kron(RNG.integers(0, 256, (4, 4, 4)), np.ones((8, 8, 1))).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(ink, "CMYK").save(stream, "JPEG", quality=100)
    data = stream.getvalue()
    light = 255.0 - ink
    want = light[..., :3] * light[..., 3:] / 255
    assert np.abs(decode_image(data, 32).transpose(1, 2, 0) - want).max() < 4
    start = data.find(b"\xff\xee")
    length = struct.unpack(">H", data[start + 2 : start + 4])[0]
    # Nothing says now whether the inks are inverted. Pillow takes them to be, as in training code.
    plain = data[:start] + data[start + 2 + length :]
    assert np.abs(decode_image(plain, 32).transpose(1, 2, 0) - want).max() < 4


def test_large_pictures_are_decoded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_HEAVY_PIXELS", 100)
    held = []
    fit = decode._fit

    def watched(image: Image.Image, square: decode.Square) -> Image.Image:
        held.append(decode._heavy.locked())
        return fit(image, square)

    monkeypatch.setattr(decode, "_fit", watched)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda row: decode_image(png(PIXELS[row]), 32), range(COUNT)))
    assert np.array_equal(np.stack(got).transpose(0, 2, 3, 1), PIXELS)
    stream = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(stream, "JPEG")
    decode_image(stream.getvalue(), 32)
    assert held == [True] * COUNT + [False]


def test_tiffs_of_other_numbers() -> None:
    def tiff(values: NDArray[Any]) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(values).save(stream, "TIFF")
        return stream.getvalue()

    for values in (GRAY[0].astype(np.float32), GRAY[0] / np.float32(255), GRAY[0].astype(np.int32)):
        assert np.array_equal(decode_image(tiff(values), 28)[0], GRAY[0])
    for values in (
        GRAY[0] * np.float32(1e6),
        GRAY[0] - np.float32(99),
        GRAY[0] * np.float32(np.nan),
    ):
        with pytest.raises(InputError, match=r"not a usual scale|not numbers"):
            decode_image(tiff(values), 28)
