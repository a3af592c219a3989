"""Netpbm pictures: every form, their limits, broken ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
from bounded import calls_at_most
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import InputError
from bdshift.images.decode import decode_image

RNG = np.random.default_rng(0)
TWO_BY_TWO = b"\1\2\3\4"


def gray(data: bytes, side: int = 2) -> list[list[int]]:
    """The picture's first channel."""
    found: list[list[int]] = decode_image(data, side)[0].tolist()
    return found


@pytest.mark.parametrize("white", [1, 100, 255, 256, 1000, 65535])
@pytest.mark.parametrize("kind", [2, 3, 5, 6])
def test_values_are_shares_of_white(kind: int, white: int) -> None:
    channels = 3 if kind in (3, 6) else 1
    values = RNG.integers(0, white + 1, (40, 40, channels))
    if kind > 3:
        data = values.astype(np.uint8 if white < 256 else ">u2").tobytes()
    else:
        data = b" ".join(b"%d" % value for value in values.ravel())
    decode_image(b"P5\n1 1\n9\n1", 1)  # the first picture loads Pillow's modules
    with calls_at_most(1000):  # Pillow would read number by number, in Python
        found = decode_image(f"P{kind}\n40 40\n{white}\n".encode() + data, 40)
    exact = values.astype(float) / white * 255
    assert (np.abs(found - exact.transpose(2, 0, 1)) <= 0.502).all()


@pytest.mark.parametrize("kind", [1, 4])
def test_a_one_is_black(kind: int) -> None:
    bits = RNG.integers(0, 2, (16, 16), dtype=np.uint8)
    digits = (bits + ord("0")).tobytes()
    data = digits if kind == 1 else np.packbits(bits, axis=1).tobytes()
    found = decode_image(f"P{kind}\n16 16\n".encode() + data, 16)
    assert np.array_equal(found[2], 255 - 255 * bits)


def test_sixteen_bits_are_scaled_before_they_are_rounded() -> None:
    deep = RNG.integers(0, 65536, (40, 40), dtype=np.uint16)
    stream = io.BytesIO()
    Image.fromarray(deep).save(stream, "PNG")
    expected = decode_image(stream.getvalue(), 16)
    plain = b"P2\n40 40\n65535\n" + b" ".join(b"%d" % value for value in deep.ravel())
    binary = b"P5\n40 40\n65535\n" + deep.astype(">u2").tobytes()
    for data in (plain, binary):
        assert np.array_equal(decode_image(data, 16), expected)


def test_a_float_map_is_of_shares_or_of_bytes() -> None:
    def saved(values: NDArray[np.floating]) -> bytes:
        return b"Pf\n8 8\n-1.0\n" + values[::-1].astype("<f4").tobytes()

    values = RNG.integers(0, 256, (8, 8))
    for scale in (1, 255):
        assert np.array_equal(decode_image(saved(values / scale), 8)[1], values)


def test_a_comment_may_follow_the_letters() -> None:
    assert gray(b"P2# by hand\n2 2\n255\n1 2 3 4") == [[1, 2], [3, 4]]
    assert gray(b"P5#\r2\v2\f100\n" + TWO_BY_TWO) == [[3, 5], [8, 10]]


def test_a_header_has_at_most_4096_bytes() -> None:
    def picture(length: int) -> bytes:
        """Its last number ends there."""
        return b"P5\n2 2".ljust(length - 3) + b"100\n" + TWO_BY_TWO

    assert gray(picture(4095)) == [[3, 5], [8, 10]]
    for length in (4096, 4097, 4098):  # from the second on, a number would be cut in two
        with pytest.raises(InputError, match="more than 4,096 bytes"):
            decode_image(picture(length), 2)
    with pytest.raises(InputError, match="cut short"):
        decode_image(b"P5\n2 2".ljust(4096), 2)


def test_numbers_as_text_have_a_limit() -> None:
    text = b"1 2 3 4".ljust(16 * 2**20)
    assert gray(b"P2\n2 2\n255\n" + text) == [[1, 2], [3, 4]]
    with pytest.raises(InputError, match="more than 16 MiB"):
        decode_image(b"P2\n2 2\n255\n" + text + b" ", 2)


def test_a_thousand_comments_are_enough() -> None:
    text = b"1 2 3 4" + b"#\n" * 1000
    assert gray(b"P2\n2 2\n255\n" + text) == [[1, 2], [3, 4]]
    with pytest.raises(InputError, match="more than 1,000 comments"):
        decode_image(b"P2\n2 2\n255\n" + text + b"#\n", 2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P3\n2 2\n255\n1 2 3", "cut short"),
        (b"P2\n2 2\n255\n12 34 56", "cut short"),
        (b"P2\n2 2\n255\n12 34 56 # 78", "cut short"),
        (b"P1\n2 2\n0 1 1", "cut short"),
        (b"P3\n2 2\n255\n" + b"300 " * 12, "beyond its scale"),
        (b"P2\n2 2\n255\n1 2 3 99999999999999999999", "beyond its scale"),
        (b"P2\n2 2\n255\n1 2 x 4", "not a number"),
        (b"P2\n2 2\n255\n1 2 -3 4", "not a number"),
        (b"P1\n2 2\n0 1 2 1", "beyond its scale"),
        (b"P5\n2 2\n100\n\1\2", "cut short"),
        (b"P5\n2 2\n1000\n" + bytes(7), "cut short"),
        (b"P5\n2", "cut short"),
        (b"P5\n2 2\n255", "cut short"),
        (b"P5\n2 2\n0\n" + TWO_BY_TWO, "maxval"),
        (b"P2\n2 2\n65536\n1 2 3 4", "maxval"),
        (b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 1\nMAXVAL 255\nENDHDR\n" + TWO_BY_TWO, "not an image"),
        (b"A5\n2 2\n100\n" + TWO_BY_TWO, "not an image"),
    ],
)
def test_what_is_broken_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        decode_image(data, 2)
