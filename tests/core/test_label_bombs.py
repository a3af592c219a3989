"""Labels beside images that ask for much by naming the same thing again and again."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
import torch
from bounded import calls_at_most, peak_at_most
from checkpoint_files import dumps

from bdshift.errors import InputError
from bdshift.images.sources.file_names import labels_in_names
from bdshift.images.sources.label_columns import Pictures
from bdshift.images.sources.label_files import read_sheet
from bdshift.images.sources.unsorted import find_labels
from bdshift.pickle_data import LEGACY_MAGIC

MIB = 2**20
PROTO, END = b"\x80\x03", b"."


def _bytes(length: int) -> bytes:
    return b"B" + struct.pack("<I", length) + bytes(length)


def _same(value: bytes, times: int) -> bytes:
    """A list with the same value many times."""
    return b"]q\x00(" + value + b"q\x01" + b"h\x01" * times + b"e"


def test_one_text_many_times() -> None:
    with peak_at_most(128 * MIB), pytest.raises(InputError, match="again and again"):
        read_sheet("labels.pkl", PROTO + _same(_bytes(4000), 50_000) + END)
    with peak_at_most(128 * MIB):
        sheet = read_sheet("labels.pkl", PROTO + _same(_bytes(MIB), 50_000) + END)
    assert sheet is not None
    assert set(map(tuple, sheet.rows)) == {("",)}


def test_one_list_in_many_lists() -> None:
    """A thousand lists of a thousand lists of a thousand numbers, in 6 kB."""
    value = b"\x80\x02" + _same(_same(_same(b"K\x01", 1000), 1000), 1000) + END
    about = [dumps(part) for part in (LEGACY_MAGIC, 1001, {"little_endian": True})]
    data = b"".join((*about, value, dumps([])))
    assert data[:2] == b"\x80\x02"
    with calls_at_most(200_000):
        assert read_sheet("labels.pt", data) is None


def test_entries_that_are_broken() -> None:
    stream = io.BytesIO()
    torch.save(torch.arange(5), stream)
    data = bytearray(stream.getvalue())
    with zipfile.ZipFile(stream) as archive:
        [entry] = [info for info in archive.infolist() if info.filename.endswith("data.pkl")]
    directory = data.index(b"PK\x01\x02")
    data[entry.header_offset + 6] |= 1  # encrypted
    data[directory + 8] |= 1
    with pytest.raises(InputError, match="broken tensor"):
        read_sheet("labels.pt", bytes(data))
    held = io.BytesIO()
    np.save(held, np.arange(5))
    numbers = held.getvalue()
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            archive.writestr("labels.npy", numbers)
        with pytest.raises(InputError):
            read_sheet("labels.npz", stream.getvalue())


def test_an_array_of_nothing_that_is_huge() -> None:
    shape = (0, 2**62, 2**62)
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    assert read_sheet("labels.npy", data) is None


def test_pictures_of_one_name() -> None:
    names = [f"folder {row}/0.png" for row in range(20_000)]
    with calls_at_most(2_000_000):
        pictures = Pictures(names)
        assert [pictures.find(name.upper()) for name in names] == names
        assert pictures.find("0.png") is None
        assert pictures.find("9/0") is None
    both = Pictures(["a/0.png", "b/a/0.png"])
    assert (both.find("a/0.png"), both.find("b/a/0.png")) == (None, "b/a/0.png")


def test_a_list_and_many_folders() -> None:
    names = [f"{row}/x{row % 7}{'y' * (row % 9)}.png" for row in range(2000)]
    sheet = "\n".join(f"text {row}" for row in range(5000)).encode()
    with calls_at_most(1_000_000):
        find_labels(names, ["labels.txt"], lambda name: sheet)
    numbers = "\n".join(str(row % 3) for row in range(2000)).encode()
    found = find_labels(names, ["labels.txt"], lambda name: numbers)
    assert found is not None
    assert len(found.by_name) == 2000


def test_names_that_are_slow_to_match() -> None:
    with calls_at_most(1000):
        assert labels_in_names(["a" * 4000 + "_" * 4000 + "x"] * 20) is None
