"""Image sets that claim much, and those with bytes changed at random: one sentence, little work."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bounded import calls_at_most, peak_at_most
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_set_files import (
    GRAY,
    LABELS,
    MEMBERS,
    PIXELS,
    as_python_2,
    idx,
    npy,
    records,
    write_parquet,
    write_tar,
)

from bdshift.errors import InputError
from bdshift.images.collection import ImageCollection, ImageFile, open_images
from bdshift.images.decode import decode_image
from bdshift.images.sources import tar

# --- small files that claim much


def zeros(size: int) -> Iterator[bytes]:
    for start in range(0, size, 1 << 20):
        yield bytes(min(1 << 20, size - start))


def bomb(path: Path, kind: str, head: bytes, size: int) -> Path:
    """``head`` and then ``size`` zeros, compressed."""
    opener: Any = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[kind]
    options = {"preset": 0} if kind == "xz" else {"compresslevel": 1}
    with opener(path, "wb", **options) as stream:
        stream.write(head)
        for block in zeros(size):
            stream.write(block)
    return path


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_compressed_tars_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(tar, "MAX_UNPACKED", 20_000_000)
    info = tarfile.TarInfo("cat/1.png")
    info.size = 30_000_000
    path = bomb(tmp_path / "a", kind, info.tobuf(), 30_000_000)
    refusal = "unpacks to more than 19 MiB; unpack it"
    with peak_at_most(10_000_000), pytest.raises(InputError, match=refusal):
        open_images(path)


def test_claims_beyond_all_memory(tmp_path: Path) -> None:
    """None of these is large, and none takes much work or memory."""

    def opened(path: Path) -> ImageCollection:
        with calls_at_most(2_000_000), peak_at_most(8 * 2**20):
            return open_images(path)

    huge = struct.pack(">3I", 60_000, 60_000, 60_000)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\3" + huge)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\xff\xff\xff\xff")
    with pytest.raises(InputError, match=r"MiB; gunzip|cut short"):
        opened(tmp_path / "t10k-images-idx3-ubyte")
    for path in list(tmp_path.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    with pytest.raises(InputError, match=r"gunzip it first|cut short"):
        opened(tmp_path)

    info = tarfile.TarInfo("cat/1.png")
    info.type, info.size = b"L", 2**33
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(InputError, match="the archive is broken"):
        opened(tmp_path / "a.tar")
    info.type, info.size = tarfile.REGTYPE, 2**62
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(InputError, match="the archive is cut short"):
        opened(tmp_path / "a.tar")

    for record in (b"0 a=b\n", b"3 a=b\n", b"99 a=b\n", b"6 a=b\n"):  # each once a loop, or slow
        info.type, info.size = tarfile.XHDTYPE, 1_000_000 // len(record) * len(record)
        body = (record * (info.size // len(record))).ljust(-(-info.size // 512) * 512, b"\0")
        last = tarfile.TarInfo("cat/1.png").tobuf()
        (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + body + last)
        assert opened(tmp_path / "a.tar").files

    wide = bytearray(lzma.compress(bytes(1000)))
    end = 12 + 4 * wide[12]  # of the block's header, where its checksum lies
    wide[wide.index(b"\x21\x01", 12) + 2] = 40  # a dictionary of 4 GiB
    wide[end : end + 4] = struct.pack("<I", zlib.crc32(bytes(wide[12:end])))
    (tmp_path / "a.xz").write_bytes(wide)
    with pytest.raises(InputError, match=r"[Mm]emory"):
        opened(tmp_path / "a.xz")

    for name, packing in (("a.npz", zipfile.ZIP_DEFLATED), ("b.npz", zipfile.ZIP_STORED)):
        header = "{'descr': '<f8', 'fortran_order': False, 'shape': (12, 60000, 60000), }"
        with zipfile.ZipFile(tmp_path / name, "w", packing) as archive:
            archive.writestr("x.npy", npy(header, bytes(10_000)))
            stream = io.BytesIO()
            np.save(stream, LABELS)
            archive.writestr("y.npy", stream.getvalue())
        with pytest.raises(InputError, match=r"MiB unpacked|cut short"):
            opened(tmp_path / name)


def test_reading_is_thread_safe(tmp_path: Path, cifar: Path) -> None:
    np.savez(tmp_path / "a.npz", x=PIXELS, y=LABELS)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=PIXELS, compression="gzip", chunks=(5, 32, 32, 3))
        file["y"] = LABELS
    paths = [cifar, tmp_path / "a.npz", tmp_path / "a.h5", write_tar(tmp_path / "a.tar")]
    paths.append(write_parquet(tmp_path / "a.parquet"))
    for path in paths:
        found = open_images(path)
        alone = [found.read(file) for file in found.files] * 20
        barrier = threading.Barrier(4)

        def run(part: int, found: ImageCollection = found, barrier: Any = barrier) -> list[bytes]:
            barrier.wait()
            return [found.read(file) for file in found.files * 5]

        with ThreadPoolExecutor(4) as pool:
            assert [data for part in pool.map(run, range(4)) for data in part] == alone


def test_names_from_elsewhere(tmp_path: Path, cifar: Path) -> None:
    """An audit names pictures; its names may be anybody's."""
    np.savez(tmp_path / "a.npz", x=PIXELS, y=LABELS)
    paths = [cifar, tmp_path / "a.npz", write_tar(tmp_path / "a.tar")]
    paths += [write_tar(tmp_path / "a.tgz", "w:gz"), write_parquet(tmp_path / "a.parquet")]
    names = ["", "x", "x/", "x/12", "x/-1", "x/" + "9" * 5000, "x/²", "y/0", "../../etc/passwd"]
    names += ["test_batch/12", "image/12", "image/-1", "image/" + "9" * 5000]
    for path in paths:
        found = open_images(path)
        for name in names:
            with pytest.raises(InputError, match="not in the"):
                found.read(ImageFile(name, 0))


# --- bytes changed at random


KINDS = "npz packed.npz h5 packed.h5 pickle bin idx idx.gz tar tgz zip csv parquet".split()


@pytest.fixture(scope="session")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, bytes]]:
    """A small valid file of each kind: its name, and what is in it."""
    root = tmp_path_factory.mktemp("valid")
    small, few = PIXELS[:3, :6, :6], LABELS[:3]
    np.savez(root / "npz", x=small, y=few)
    np.savez_compressed(root / "packed", x=small, y=few)
    for name, options in (
        ("h5", {}),
        ("packed.h5", {"compression": "gzip", "chunks": (1, 6, 6, 3)}),
    ):
        with h5py.File(root / name, "w") as file:
            file.create_dataset("x", data=small, **options)
            file["y"] = few
    planes = np.ascontiguousarray(small.transpose(0, 3, 1, 2).reshape(3, -1))
    write_tar(root / "tar")
    write_tar(root / "tgz", "w:gz")
    with zipfile.ZipFile(root / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in list(MEMBERS.items())[:3]:
            archive.writestr(name, data)
    found = {
        "npz": ("a.npz", (root / "npz.npz").read_bytes()),
        "packed.npz": ("a.npz", (root / "packed.npz").read_bytes()),
        "h5": ("a.h5", (root / "h5").read_bytes()),
        "packed.h5": ("a.h5", (root / "packed.h5").read_bytes()),
        "pickle": ("test_batch", as_python_2({"data": planes, "labels": few.tolist()})),
        "bin": ("test_batch.bin", records(PIXELS[:2], LABELS[:2])),
        "idx": ("t10k-images-idx3-ubyte", idx(GRAY[:2, :4, :4])),
        "idx.gz": ("t10k-images-idx3-ubyte.gz", gzip.compress(idx(GRAY[:2, :4, :4]))),
        "tar": ("a.tar", (root / "tar").read_bytes()[:8192]),
        "tgz": ("a.tgz", (root / "tgz").read_bytes()),
        "zip": ("a.zip", (root / "zip").read_bytes()),
        "csv": ("a.csv", b"path,label\nimages/1.png,1\nimages/2.png,2\n"),
    }
    if importlib.util.find_spec("pyarrow"):
        write_parquet(root / "parquet")
        found["parquet"] = ("a.parquet", (root / "parquet").read_bytes())
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_changed_bytes_give_sentences(
    tmp_path: Path, valid: dict[str, tuple[str, bytes]], kind: str, data: st.DataObject
) -> None:
    if kind not in valid:
        pytest.skip("pyarrow is not installed")
    name, whole = valid[kind]
    changed = bytearray(whole)
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=8)
    ):
        changed[at] = value
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(whole))))
    (tmp_path / name).write_bytes(whole)
    if kind.startswith("idx"):
        (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([0, 1], np.uint8)))
    if kind == "csv":
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / "1.png").write_bytes(MEMBERS["cat/1.png"])
    assert open_images(tmp_path / name).files
    (tmp_path / name).write_bytes(changed[:cut])
    try:
        found = open_images(tmp_path / name)
    except InputError:
        return
    for file in found.files[:20]:
        try:
            decode_image(found.read(file), 8)
        except InputError:
            continue
