"""Pictures in folders, archives, tables and Parquet: the very pixels that were put in, or one
sentence.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_set_files import (
    COUNT,
    LABELS,
    MEMBERS,
    PIXELS,
    TEN,
    check,
    check_members,
    png,
    table_folder,
    write_parquet,
    write_tar,
)

from bdshift.errors import InputError
from bdshift.images.collection import open_images
from bdshift.images.decode import decode_image
from bdshift.images.loader import decode_all
from bdshift.images.sources import folders, naming
from bdshift.jobs import Canceled, JobContext

# --- class folders in a tar, and what does not belong into archives


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./", "a/" + "long" * 20 + "/" + "folder" * 20 + "/"])
def test_tar(tmp_path: Path, mode: str, form: int, prefix: str) -> None:
    if form == tarfile.USTAR_FORMAT and len(prefix) > 100:
        prefix = "a/" + "long" * 25 + "/"
    check_members(open_images(write_tar(tmp_path / "images", mode, prefix, form)))


def test_several_compressed_streams_in_a_row(tmp_path: Path) -> None:
    data = write_tar(tmp_path / "plain").read_bytes()
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        half = len(data) // 2
        (tmp_path / "images").write_bytes(pack(data[:half]) + pack(data[half:]))
        check_members(open_images(tmp_path / "images"))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_members_that_are_no_pictures(tmp_path: Path, mode: str) -> None:
    path = write_tar(tmp_path / "a.tar", mode)
    kinds = {
        "cat/soft.png": (tarfile.SYMTYPE, "a link in an archive is not followed"),
        "cat/hard.png": (tarfile.LNKTYPE, "a hard link in an archive is not followed"),
        "cat/device.png": (tarfile.CHRTYPE, "a device"),
        "cat/block.png": (tarfile.BLKTYPE, "a device"),
        "cat/pipe.png": (tarfile.FIFOTYPE, "a pipe"),
        "cat/sparse.png": (tarfile.GNUTYPE_SPARSE, "not a plain file"),
        "/etc/cat/1.png": (tarfile.REGTYPE, "its name is absolute"),
        "cat/../../1.png": (tarfile.REGTYPE, "its name leads out of the archive"),
        "notes.txt": (tarfile.REGTYPE, "not in a class folder"),
        "cat/notes.txt": (tarfile.REGTYPE, "not an image by its suffix"),
    }
    with tarfile.open(tmp_path / "b.tar", mode, format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
        for name, (kind, _) in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO())
        hidden = tarfile.TarInfo("cat/._1.png")
        archive.addfile(hidden, io.BytesIO())
        for name, data in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    found = open_images(tmp_path / "b.tar")
    check_members(found)
    reasons = {skip.name: str(skip.reason) for skip in found.skipped}
    assert reasons == {name.lstrip("/"): reason for name, (_, reason) in kinds.items()}
    assert path.exists()


def test_tars_that_are_cut_or_lie(tmp_path: Path) -> None:
    data = bytearray(write_tar(tmp_path / "a.tar", form=tarfile.USTAR_FORMAT).read_bytes())
    (tmp_path / "cut.tar").write_bytes(data[:-15_000])
    cut = open_images(tmp_path / "cut.tar")
    assert str(cut.skipped[-1].reason) == "the archive is cut short"
    assert 0 < len(cut.files) < COUNT
    for mode in ("w:gz", "w:xz", "w:bz2"):
        whole = write_tar(tmp_path / "packed", mode).read_bytes()
        (tmp_path / "packed").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=r"cannot be read|broken"):
            open_images(tmp_path / "packed")
    second = next(i for i in range(512, len(data), 512) if data[i + 257 : i + 262] == b"ustar")
    data[second] ^= 1
    (tmp_path / "broken.tar").write_bytes(data)
    broken = open_images(tmp_path / "broken.tar")
    assert str(broken.skipped[-1].reason) == "the archive is broken from here on"
    assert len(broken.files) == 1


def test_a_data_set_in_an_archive_is_to_be_unpacked(tmp_path: Path, cifar: Path) -> None:
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(cifar, "cifar-10-batches-py")
    with pytest.raises(InputError, match="unpack it and open the folder"):
        open_images(tmp_path / "cifar-10-python.tar.gz")


def test_names_of_zips(tmp_path: Path) -> None:
    def write(path: Path, rename: Callable[[str], str], *, flag: bool) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in MEMBERS.items():
                archive.writestr(rename(name), data)
            archive.writestr("/cat/absolute.png", b"")
            archive.writestr("cat/../../up.png", b"")
        if not flag:  # UTF-8, but not said to be
            raw = bytearray(path.read_bytes())
            for start, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
                place = raw.find(start)
                while place >= 0:
                    raw[place + at + 1] &= ~8
                    place = raw.find(start, place + 1)
            path.write_bytes(raw)
        return path

    for number, path in enumerate(
        (
            write(tmp_path / "a.zip", str, flag=True),
            write(tmp_path / "b.zip", str, flag=False),
            write(tmp_path / "c.zip", lambda name: name.replace("/", "\\"), flag=True),
        )
    ):
        found = open_images(path)
        check_members(found)
        assert [str(s.reason) for s in found.skipped] == [
            "its name is absolute", "its name leads out of the archive",
        ], number  # fmt: skip


# --- tables


@pytest.mark.parametrize(
    ("header", "line", "name"),
    [
        ("path,label", "images/{0}.png,{1}", "a.csv"),
        ("id,Label,Image", "7,{1},images/{0}.png", "a.csv"),
        (
            "Filename;Width;Height;Roi.X1;ClassId",
            "images/{0}.png;32;32;0;{1:05d}",
            "GT-final_test.csv",
        ),
        ("file\tclass", "images/{0}.png\t{1}", "a.tsv"),
        ("img,target", '"./images/../images/{0}.png",{1}.0', "a.csv"),
        ("", "images/{0}.png,{1}", "a.csv"),
        ("filename,label", "images\\{0}.png,{1}", "a.csv"),
        ("\ufefffilename,label", "images/{0}.png,{1}\r", "a.csv"),
    ],
)
def test_tables(tmp_path: Path, header: str, line: str, name: str) -> None:
    root = table_folder(tmp_path)
    rows = [line.format(row, label) for row, label in enumerate(LABELS.tolist())]
    (root / name).write_text("\n".join(filter(None, [header, *rows])) + "\n\n", encoding="utf-8")
    found = open_images(root / name)
    assert found.folders == ("0", "1", "2", "3", "9")
    assert not found.skipped
    assert len(found.files) == COUNT
    for file in found.files:
        row = int(Path(file.name).stem)
        assert file.name == f"images/{row}.png"
        assert found.folders[file.label] == str(LABELS[row])
        assert np.array_equal(decode_image(found.read(file), 32).transpose(1, 2, 0), PIXELS[row])


def test_tables_stay_in_their_folder(tmp_path: Path) -> None:
    root = table_folder(tmp_path)
    (tmp_path / "secret.png").write_bytes(png(PIXELS[0]))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.png").write_bytes(png(PIXELS[0]))
    os.symlink(tmp_path / "elsewhere", root / "linked")
    os.symlink(tmp_path / "secret.png", root / "images" / "link.png")
    out = "leads out of the table's folder"
    lines = {
        "../secret.png": out, "images/../../secret.png": out, f"{tmp_path}/secret.png": out,
        "linked/1.png": out, "": out, "images/none.png": "no such file",
        "images/1.png": None, f"{root}/images/2.png": None, "images/link.png": None,
    }  # fmt: skip
    rows = [f"{name},cat" for name in lines]
    text = "\n".join(
        ["path,label", *rows, "images/1.png,dog", "images/3.png,", "alone", "images/4.png,dog"]
    )
    (root / "a.csv").write_text(text)
    found = open_images(root / "a.csv")
    assert found.folders == ("cat", "dog")
    assert [str(s.reason) for s in found.skipped] == [
        "line 13 has too few columns", *filter(None, lines.values()), "it is named twice",
        "it has no label",
    ]  # fmt: skip
    batch = decode_all(found, found.files, 32)
    assert [f.name for f in batch.files] == ["images/1.png", "images/2.png", "images/4.png"]
    assert [(s.name, str(s.reason)) for s in batch.skipped] == [
        ("images/link.png", "a link that leads out of the folder")
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c\n1,2,3\n", "takes a column called path or filename"),
        ("path,label\nnone.png,1\n", r"no image that is there \(none.png: no such file\)"),
        ("path,label\n", "no image that is there"),
        ("", "takes a column"),
        ('path,label\n"' + "x" * 200_000 + '",1\n', "is not a table"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        open_images(tmp_path / "a.csv")


# --- Parquet


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zstd"}, {"compression": "gzip", "data_page_version": "2.0"},
     {"use_dictionary": False}, {"data_page_size": 3000, "row_group_size": 100}],
)  # fmt: skip
def test_parquet(tmp_path: Path, options: dict[str, Any]) -> None:
    found = open_images(write_parquet(tmp_path / "a.parquet", **options))
    check(found, PIXELS, LABELS, TEN)
    assert found.files[0].name == "image/00001"
    check(open_images(write_parquet(tmp_path / "a.parquet", names=None, **options)), PIXELS, LABELS)


def test_parquet_of_plain_bytes(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    data: list[bytes | None] = [png(pixels) for pixels in PIXELS]
    data[4] = None
    table = pa.table({"img": pa.array(data, pa.binary()), "fine_label": LABELS.astype("i4")})
    pq.write_table(table, tmp_path / "a")
    found = open_images(tmp_path / "a")
    batch = decode_all(found, found.files, 32)
    assert [(s.name, str(s.reason)) for s in batch.skipped] == [
        ("img/00004", "its bytes are not in the file")
    ]
    assert len(batch.files) == COUNT - 1
    for columns, words in (
        ({"img": data}, "no column that is clearly the label's"),
        ({"label": [1] * COUNT}, "no column that is clearly the image's"),
        ({"img": data, "label": ["a"] * COUNT}, "holds no class numbers"),
        ({"img": [1] * COUNT, "label": [1] * COUNT}, "holds no encoded images"),
        ({"img": data, "label": [-1] * COUNT}, "counted from 0"),
        ({"img": data, "label": [1, None] * (COUNT // 2)}, "from nan to nan"),
    ):
        pq.write_table(pa.table(columns), tmp_path / "a")
        with pytest.raises(InputError, match=words):
            open_images(tmp_path / "a")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match='needs pyarrow: pip install "pyarrow>='):
        open_images(tmp_path / "a.parquet")


def test_parquet_pages_that_unpack_to_much(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    bomb = pa.table({"image": pa.array([bytes(70_000_000)]), "label": [0]})
    path = tmp_path / "a.parquet"
    pq.write_table(bomb, path, compression="zstd", use_dictionary=False, write_statistics=False)
    assert path.stat().st_size < 100_000
    found = open_images(path)
    before = pa.total_allocated_bytes()
    with pytest.raises(InputError, match="smaller row groups"):
        found.read(found.files[0])
    assert pa.total_allocated_bytes() == before
    # Each value is one of a dictionary, and small in the file: 600 MB in all.
    value = [bytes(60_000_000)]
    many = pa.DictionaryArray.from_arrays(pa.array([0] * 10, pa.int32()), pa.array(value))
    table = pa.table({"image": many, "label": [0] * 10})
    pq.write_table(table, path, compression="zstd", write_statistics=False, store_schema=False)
    found = open_images(path)
    with pytest.raises(InputError, match="MiB of images"):
        found.read(found.files[0])


# --- folders


def test_loops_and_unreadable_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in MEMBERS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    os.symlink(tmp_path / "loop", tmp_path / "loop")
    os.symlink(tmp_path, tmp_path / "cat" / "up")
    (tmp_path / "cat" / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = open_images(tmp_path)
    check_members(found)
    reasons = {skip.name: str(skip.reason) for skip in found.skipped}
    assert reasons["cat/locked/"] == "the folder cannot be read (Permission denied)"
    assert "not followed" in reasons["cat/up"]
    assert "leads nowhere" in reasons["loop"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/\xff.png", "wb") as stream:
        stream.write(png(PIXELS[0]))
    found = open_images(tmp_path)
    assert found.folders == ("caf\udce9",)
    assert len(decode_all(found, found.files, 32).files) == 1
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", errors="surrogateescape") as archive:
        archive.add(tmp_path, "")
    (tmp_path / "a.tar").write_bytes(data.getvalue())
    assert open_images(tmp_path / "a.tar").folders == ("caf\udce9",)


def test_a_long_listing_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_REPORT_EVERY", 4)
    for name, data in MEMBERS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)

    class Impatient(JobContext):
        def report(self, event: object) -> None:
            self.cancel()

    with pytest.raises(Canceled):
        open_images(tmp_path, job=Impatient())
    monkeypatch.setattr(naming, "MAX_FILES", 10)
    with pytest.raises(InputError, match="more than 10 images"):
        open_images(tmp_path)
