"""Archives and tables of a few megabytes that would unpack to gigabytes or take minutes to list,
and honest ones with many images. What they cost is counted.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bounded import calls_at_most, peak_at_most

from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.sources import naming, tar
from bdshift.images.sources.arrays import class_numbers, name_classes
from bdshift.images.sources.label_files import read_sheet
from bdshift.images.sources.shards import KeptParts
from bdshift.kinds import kind_of

MANY = 20_000


def packed(names: list[str], data: bytes, method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name in names:
            archive.writestr(name, data)
    return stream.getvalue()


def npy(numbers: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, numbers)
    return stream.getvalue()


def zip_of_extras(count: int) -> bytes:
    """Entries with as many extra fields as fit."""
    extra = b"\xff\xff\0\0" * 16_383
    entry = struct.pack("<4s24x3H12x", b"PK\1\2", 1, len(extra), 0) + b"a" + extra
    start = b"PK\3\4" + bytes(26)
    end = struct.pack("<4s4x2H2LH", b"PK\5\6", count, count, count * len(entry), len(start), 0)
    return start + entry * count + end


def header(name: bytes, size: int, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name.decode())
    info.size, info.type = size, kind
    return info.tobuf(tarfile.USTAR_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def long_names(count: int, name: bytes) -> bytes:
    one = header(b"x", len(name), b"L") + padded(name) + header(b"a", 1) + bytes(512)
    return one * count


SMALL = 96 * 2**20
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "bzip2 in an npz": (
        "a.npz",
        lambda: packed(["x.npy"], npy(np.zeros(20_000_000, np.uint8)), zipfile.ZIP_BZIP2),
        "not read"),
    "extra fields": ("a.zip", lambda: zip_of_extras(100), "besides their data"),
    "extra fields of a checkpoint": ("a.pt", lambda: zip_of_extras(100), "."),
    "folders in a tar": (
        "a.tar.gz", lambda: gzip.compress(header(b"a", 0, b"5") * 50_000, 1), "not files"),
    "links in a tar": (
        "a.tar.gz", lambda: gzip.compress(header(b"a.png", 0, b"2") * 50_000, 1), "not files"),
    "empty files in a tar": (
        "a.tar.gz", lambda: gzip.compress(header(b"a/a.png", 0) * 50_000, 1), "not files"),
    "long names in a tar": (
        "a.tar.gz", lambda: gzip.compress(long_names(50, b"a" * 10**6), 1), "too long"),
    "names of many parts": (
        "a.tar.gz", lambda: gzip.compress(long_names(50, b"a/" * 500_000), 1), "too long"),
    "folders of folders that are not there": (
        "a.csv", lambda: b"filename,label\n" + (b"a/" * 60_000 + b"a.png,b\n") * 50, "too long"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_archives_that_ask_for_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(tar, "_MAX_OTHERS", 1000)
    file, make, words = BOMBS[name]
    path = tmp_path / file
    path.write_bytes(make())
    assert path.stat().st_size < 10_000_000
    with calls_at_most(1_000_000), peak_at_most(SMALL):
        assert kind_of(path)
        with pytest.raises(InputError, match=words):
            open_images(path)


def test_folders_that_are_not_there_are_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    real = Path.resolve

    def resolve(path: Path) -> Path:
        listed.append(str(path))
        return real(path)

    monkeypatch.setattr(Path, "resolve", resolve)
    path = tmp_path / "a.csv"
    path.write_bytes(b"filename,label\n" + b"".join(b"d%d/a.png,b\n" % i for i in range(1000)))
    with pytest.raises(InputError, match="no such file"):
        open_images(path)
    assert len(listed) < 10


def test_rows_that_are_too_short_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "MAX_FILES", 1000)
    path = tmp_path / "a.csv"
    path.write_bytes(b"filename,label\n" + b"a\n" * 100_000)
    with calls_at_most(300_000), pytest.raises(InputError, match="1,000"):
        open_images(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_pictures_that_unpack_without_a_limit(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(packed(["a/1.png", "b/1.png"], bytes(16_000_000), method))
    found = open_images(path)
    assert len(found.files) == 2
    for file in found.files:
        with peak_at_most(4 * 2**20), pytest.raises(InputError, match="Deflate"):
            found.read(file)


def test_labels_that_unpack_without_a_limit() -> None:
    data = packed(["labels.npy"], npy(np.zeros(20_000_000, np.uint8)), zipfile.ZIP_BZIP2)
    with peak_at_most(4 * 2**20), pytest.raises(InputError, match="Deflate"):
        read_sheet("labels.npz", data)


@pytest.mark.parametrize("text", ["[" + "[]," * 2_100_000 + "[]]", "[[],[]]\n" * 1_000_000])
def test_labels_in_json_are_counted(text: str) -> None:
    with peak_at_most(SMALL), pytest.raises(InputError, match="values"):
        read_sheet("labels.json", text.encode())


def test_labels_of_more_images_than_a_set_holds(tmp_path: Path) -> None:
    with peak_at_most(2**20), pytest.raises(InputError, match="2,000,000"):
        class_numbers(np.broadcast_to(np.uint8(0), (100_000_000,)))
    for magic, name, shape in (
        (b"\0\0\x08\x01", "t10k-labels-idx1-ubyte.gz", struct.pack(">L", 200_000_000)),
        (b"\0\0\x08\x03", "t10k-images-idx3-ubyte.gz", struct.pack(">3L", 200_000_000, 1, 1)),
    ):
        (tmp_path / name).write_bytes(gzip.compress(magic + shape + bytes(1_000_000)))
    with peak_at_most(4 * 2**20), pytest.raises(InputError, match="2,000,000"):
        open_images(tmp_path)


def test_many_names_of_classes_and_many_parts_take_one_look_each() -> None:
    names = [f"class {number}" for number in range(50_000)]
    with calls_at_most(700_000):
        folders, _ = name_classes(np.array([49_999]), [*names])
    assert folders == tuple(names)
    assert name_classes(np.array([2]), ["a", "b", "a"])[0] == ("a", "b", "a (label 2)")
    parts = KeptParts()
    with calls_at_most(700_000):
        for number in range(30_000):
            parts.keep(number, [b"a"])
    assert parts.get(0) == [b"a"]


def test_arrow_rows_that_are_the_same_bytes(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    big = arrow.py_buffer(bytes(1_000_000))
    views = struct.pack("<4i", 1_000_000, 0, 0, 0) * 1000
    images = arrow.Array.from_buffers(
        arrow.binary_view(), 1000, [None, arrow.py_buffer(views), big]
    )
    table = arrow.record_batch([images, arrow.array([0, 1] * 500)], names=["image", "label"])
    path = tmp_path / "a.arrow"
    with arrow.ipc.new_stream(path, table.schema) as writer:
        writer.write_batch(table)
    found = open_images(path)
    with peak_at_most(SMALL), pytest.raises(InputError, match="same bytes"):
        found.read(found.files[0])


def test_honest_archives_of_many_images_are_read(tmp_path: Path) -> None:
    names = [f"{'ab'[number % 2]}/{number:05d}.png" for number in range(MANY)]
    (tmp_path / "a.zip").write_bytes(packed(names, b"x", zipfile.ZIP_STORED))
    one = header(b"a", 0, b"5")
    files = (header(name.encode(), 1) + padded(b"x") for name in names)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(one + b"".join(files) + bytes(1024), 1))
    numbers = np.arange(MANY) % 2
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((MANY, 2, 2), np.uint8), labels=numbers)
    pair = tmp_path / "mnist"
    pair.mkdir()
    pixels = b"\0\0\x08\x03" + struct.pack(">3L", MANY, 2, 2) + bytes(4 * MANY)
    labels = b"\0\0\x08\x01" + struct.pack(">L", MANY) + numbers.astype(np.uint8).tobytes()
    (pair / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(pixels))
    (pair / "t10k-labels-idx1-ubyte").write_bytes(labels)
    for name in ("a.zip", "a.tar.gz", "a.npz", "mnist"):
        found = open_images(tmp_path / name)
        assert found.counts() == [MANY // 2, MANY // 2], name
        assert found.read(found.files[-1]).startswith((b"x", b"P5")), name


def test_labels_in_json_lines_are_read() -> None:
    rows = [{"file": f"{number}.png", "label": number % 2} for number in range(3)]
    for text in (json.dumps(rows), "\n".join(map(json.dumps, rows))):
        sheet = read_sheet("labels.json", text.encode())
        assert sheet is not None
        assert [list(row) for row in sheet.rows[1:]] == [
            ["0.png", "0"],
            ["1.png", "1"],
            ["2.png", "0"],
        ]
    assert read_sheet("labels.json", b"[1, 2") is None


def test_a_table_names_images_in_folders_of_folders(tmp_path: Path) -> None:
    (tmp_path / "Train" / "x").mkdir(parents=True)
    for name in ("1.png", "2.png"):
        (tmp_path / "Train" / "x" / name).write_bytes(b"x")
    (tmp_path / "a.csv").write_text(
        "filename,label\nTrain/x/1.png,a\n./Train/x/2.png,b\nno/1.png,b\n"
    )
    found = open_images(tmp_path / "a.csv")
    assert [file.name for file in found.files] == ["Train/x/1.png", "Train/x/2.png"]
    assert [skip.name for skip in found.skipped] == ["no/1.png"]
