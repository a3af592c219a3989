"""Every kind of image set gives the very pixels that were put into it, or one sentence."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import json
import lzma
import os
import pickle
import struct
import sys
import tarfile
import threading
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from bdshift.errors import InputError
from bdshift.images import decode
from bdshift.images.collection import ImageCollection, ImageFile, open_images
from bdshift.images.decode import decode_image
from bdshift.images.labels import map_classes
from bdshift.images.loader import decode_all
from bdshift.images.sources import folders, naming, tar
from bdshift.images.sources.arrays import class_numbers
from bdshift.images.sources.pairs import find_pair
from bdshift.jobs import Cancelled, JobContext

COUNT = 12
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 0, 1, 2, 3, 3, 0, 9, 1, 2, 0, 0])
TEN = "airplane automobile bird cat deer dog frog horse ship truck".split()
Bytes = NDArray[np.uint8]


def png(pixels: Bytes) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def check(
    found: ImageCollection, pixels: Bytes, labels: NDArray[Any], names: list[str] | None = None
) -> None:
    """All pictures are there, exactly, under their classes; ``names`` are those of all classes."""
    seen = set()
    for file in found.files:
        row = int(file.name.rpartition("/")[2])
        seen.add(row)
        want = pixels[row] if pixels.ndim == 4 else np.stack([pixels[row]] * 3, axis=-1)
        got = decode_image(found.read(file), pixels.shape[1])
        assert np.array_equal(got.transpose(1, 2, 0), want), file.name
        want_folder = str(labels[row]) if names is None else names[labels[row]]
        assert found.folders[file.label] == want_folder
    assert seen == set(range(len(labels)))
    assert [f.label for f in found.files] == sorted(f.label for f in found.files)
    assert sum(found.counts()) == len(labels)
    classes = len(names) if names else int(max(labels)) + 1
    mapped = map_classes(found.folders, classes)
    for file in found.files:
        assert mapped.of_folder[file.label] == labels[int(file.name.rpartition("/")[2])]


# --- arrays


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"), ("x", "y"), ("X", "Y"), ("data", "targets"), ("x_test", "y_test"),
        ("test_images", "test_labels"), ("X_val", "Y_val"), ("x_clean", "y"), ("arr_0", "arr_1"),
        ("whatever", "sure"),
    ],
)  # fmt: skip
def test_npz(tmp_path: Path, save: Callable[..., None], images: str, labels: str) -> None:
    save(tmp_path / "a.npz", **{images: PIXELS, labels: LABELS})
    found = open_images(tmp_path / "a.npz")
    check(found, PIXELS, LABELS)
    assert found.files[0] == ImageFile(f"{images}/00001", 0)
    assert found.folders == ("0", "1", "2", "3", "9")
    assert found.notes == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.transpose(0, 3, 1, 2), np.asfortranarray, lambda p: p[..., :1],
        lambda p: p[..., 0], lambda p: p.transpose(0, 3, 1, 2)[:, :1],
        lambda p: np.concatenate([p, p[..., :1]], axis=3),
    ],
)  # fmt: skip
def test_axes(tmp_path: Path, change: Callable[[Bytes], Bytes]) -> None:
    changed = change(PIXELS)
    single = changed.ndim == 3 or 1 in changed.shape[1:]
    want = PIXELS[..., 0] if single else PIXELS
    np.savez(tmp_path / "a.npz", x=changed, y=LABELS)
    check(open_images(tmp_path / "a.npz"), want, LABELS)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = changed, LABELS
    check(open_images(tmp_path / "a.h5"), want, LABELS)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8"])
@pytest.mark.parametrize("low", [0, -1])
def test_float_scales(tmp_path: Path, dtype: str, low: int) -> None:
    values = PIXELS.astype(np.float64) / 255
    np.savez(tmp_path / "a.npz", x=(values * (1 - low) + low).astype(dtype), y=LABELS)
    check(open_images(tmp_path / "a.npz"), PIXELS, LABELS)


@pytest.mark.parametrize("dtype", ["i8", "i4", "u2", "f4", "f8", "i2"])
def test_wide_numbers_of_bytes(tmp_path: Path, dtype: str) -> None:
    np.savez(tmp_path / "a.npz", x=PIXELS.astype(dtype), y=LABELS)
    check(open_images(tmp_path / "a.npz"), PIXELS, LABELS)


def test_sixteen_bits_and_booleans(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (COUNT, 32, 32, 3), dtype=np.uint16)
    np.savez(tmp_path / "a.npz", x=deep, y=LABELS)
    exact = [
        [(2 * int(v) * 255 + 65535) // (2 * 65535) for v in row] for row in deep.reshape(COUNT, -1)
    ]
    want = np.array(exact, dtype=np.uint8).reshape(deep.shape)
    check(open_images(tmp_path / "a.npz"), want, LABELS)
    np.savez(tmp_path / "b.npz", x=PIXELS > 127, y=LABELS)
    check(open_images(tmp_path / "b.npz"), np.where(PIXELS > 127, 255, 0).astype(np.uint8), LABELS)


def test_a_picture_beyond_the_others_is_skipped(tmp_path: Path) -> None:
    values = np.zeros((200, 8, 8), np.float32)
    values[77, 0, 0] = 200.0  # none of the 64 that decide
    values[78, 0, 0] = np.nan
    np.savez(tmp_path / "a.npz", x=values, y=np.zeros(200, int))
    found = open_images(tmp_path / "a.npz")
    batch = decode_all(found, found.files, 8)
    assert [skip.name for skip in batch.skipped] == ["x/00077", "x/00078"]
    assert "beyond those of the other pictures (0 to 1)" in batch.skipped[0].reason


@pytest.mark.parametrize(
    "labels",
    [
        np.eye(10)[LABELS], np.eye(10, dtype=bool)[LABELS], LABELS[:, None], LABELS.astype("f4"),
        LABELS.astype("u1"), LABELS.astype(">i2"),
    ],
)  # fmt: skip
def test_label_forms(tmp_path: Path, labels: NDArray[Any]) -> None:
    np.savez(tmp_path / "a.npz", x=PIXELS, y=labels)
    check(open_images(tmp_path / "a.npz"), PIXELS, LABELS)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, -1]), "from -1 to 0"), (np.array([0.5, 1.0]), "no whole numbers"),
        (np.array([np.nan, 1.0]), "from nan"), (np.array([[1, 1], [0, 1]]), "nor one-hot"),
        (np.array([[0.5, 0.5], [0, 1]]), "nor one-hot"), (np.array([2**40, 1]), "counted from 0"),
        (np.array(["a", "b"]), "neither numbers"), (np.array([], dtype=int), "no labels"),
    ],
)  # fmt: skip
def test_labels_that_are_none(labels: NDArray[Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        class_numbers(labels)


def test_a_hundred_classes_are_mapped_by_number(tmp_path: Path) -> None:
    labels = RNG.permutation(np.repeat(np.arange(100), 2))
    pixels = np.broadcast_to(labels[:, None, None].astype(np.uint8), (200, 8, 8))
    np.savez(tmp_path / "a.npz", x=pixels, y=labels)
    found = open_images(tmp_path / "a.npz")
    assert found.folders[9:12] == ("9", "10", "11")
    batch = decode_all(found, found.files, 8)
    mapped = np.array(map_classes(found.folders, 100).of_folder)[batch.labels]
    assert (batch.pixels[:, 0, 0, 0] == mapped).all()
    np.savez(tmp_path / "b.npz", x=pixels, y=labels + 1)  # counted from 1, as MATLAB does
    found = open_images(tmp_path / "b.npz")
    mapped = np.array(map_classes(found.folders, 100).of_folder)[
        decode_all(found, found.files, 8).labels
    ]
    assert (batch.pixels[:, 0, 0, 0] == mapped).all()


@pytest.mark.parametrize(
    ("shapes", "want"),
    [
        ({"x_train": 9, "y_train": 9, "x_test": 5, "y_test": 5}, ("x_test", "y_test")),
        ({"x_train": 9, "y_train": 9, "x_test": 9, "y_test": 9}, ("x_test", "y_test")),
        ({"train/x": 9, "train/y": 9, "val/x": 9, "val/y": 9}, ("val/x", "val/y")),
        ({"train_set_x": 9, "train_set_y": 9, "test_set_x": 5, "test_set_y": 5},
         ("test_set_x", "test_set_y")),
        ({"x_bd": 5, "x_clean": 5, "y": 5}, ("x_clean", "y")),
        ({"x": 5, "y": 5, "ids": 5}, ("x", "y")),
        ({"x_test": 5, "labels": 5}, ("x_test", "labels")),
        ({"images": 5, "y_test": 5}, ("images", "y_test")),
    ],
)  # fmt: skip
def test_the_half_that_is_clean_is_taken(shapes: dict[str, int], want: tuple[str, str]) -> None:
    pictures = ("x", "images")
    found = find_pair(
        {k: (n, 8, 8) if set(k.replace("/", "_").split("_")) & set(pictures) else (n,)
         for k, n in shapes.items()}
    )  # fmt: skip
    assert found[:2] == want
    several = sum("x" in k.replace("/", "_").split("_") for k in shapes) > 1
    assert (found[2] is not None) == several


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": PIXELS}, "no labels"),
        ({"y": LABELS}, "no array of pictures"),
        ({"x": PIXELS, "y": LABELS[:5]}, "no labels of as many"),
        ({"x_test": PIXELS, "y_train": LABELS}, "no labels of as many"),
        ({"x": PIXELS.reshape(COUNT, -1), "y": LABELS}, "no array of pictures"),
        ({"x": PIXELS.astype(object), "y": LABELS}, "never loaded, as no plain numbers: x"),
        ({"x": PIXELS[:, :, :, :2], "y": LABELS}, "no axis of 1, 3 or 4 channels"),
        ({"x": PIXELS[:, :3], "y": LABELS}, "first or last"),
        ({"x": PIXELS[:0], "y": LABELS[:0]}, "holds no"),
        ({"x": PIXELS[:, :0], "y": LABELS}, "holds no pictures"),
        ({"x": (PIXELS - 120.0) / 60, "y": LABELS}, "normalised already"),
        ({"x": PIXELS * np.float32(np.nan), "y": LABELS}, "NaN"),
        ({"x": PIXELS * 1j, "y": LABELS}, "never loaded"),
        ({"x": PIXELS.astype("i4") * 300, "y": LABELS}, "normalised already"),
        ({"x": PIXELS, "y": LABELS, "labels": LABELS}, r"several labelled sets \(x with y; x with"),
        ({"a_x": PIXELS, "b_x": PIXELS, "y": LABELS}, "several labelled sets"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_set(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words) as caught:
        open_images(tmp_path / "a.npz")
    assert str(caught.value).startswith(str(tmp_path / "a.npz"))


def test_one_array_has_no_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PIXELS)
    with pytest.raises(InputError, match="one array, without labels"):
        open_images(tmp_path / "a.npy")


def npy(header: str, data: bytes) -> bytes:
    line = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line + data


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 8, 8), }", "cut short"),
        ("{'descr': '|u1', 'fortran_order': True, 'shape': (12, 100000, 10000), }", "MiB unpacked"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (12, 100000, 10000), }", "cut short"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (12, 8, __import__('os')), }", "never"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (12, 8, 8), }", "never"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-12, 8, 8), }", "never"),
    ],
)
def test_npy_headers_that_lie(tmp_path: Path, header: str, words: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy(header, bytes(12 * 8 * 8)))
        stream = io.BytesIO()
        np.save(stream, np.zeros(1_000_000 if "1000000," in header else 12, int))
        archive.writestr("y.npy", stream.getvalue())
    with pytest.raises(InputError, match=words):
        open_images(tmp_path / "a.npz")


# --- HDF5


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}]
)
def test_hdf5(tmp_path: Path, options: dict[str, Any]) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_dataset("test/images", data=PIXELS, **options)
        file.create_dataset("test/labels", data=LABELS)
        file.create_dataset("train/images", data=PIXELS[:4])
        file.create_dataset("train/labels", data=LABELS[:4])
        file["list_of_names"] = np.array(TEN, dtype="S")
    found = open_images(tmp_path / "a.hdf5")
    check(found, PIXELS, LABELS)
    assert found.files[0].name == "test/images/00001"
    assert found.notes == ("Took test/images with test/labels, and not train/images",)


def test_hdf5_is_not_read_at_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.zeros((4_000, 64, 64, 3), np.uint8), compression="gzip")
        file["y"] = np.zeros(4_000, int)
    tracemalloc.start()
    found = open_images(tmp_path / "a.h5")
    found.read(found.files[1_234])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6  # of 49 MB


def test_hdf5_that_leads_elsewhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = PIXELS
    (tmp_path / "raw").write_bytes(PIXELS.tobytes())

    def link(file: h5py.File) -> None:
        file["x"] = h5py.ExternalLink(str(secret), "x")

    def soft(file: h5py.File) -> None:
        file["out"] = h5py.ExternalLink(str(secret), "/")
        file["x"] = h5py.SoftLink("/out/x")

    def external(file: h5py.File) -> None:
        file.create_dataset(
            "x", PIXELS.shape, "u1", external=[(str(tmp_path / "raw"), 0, PIXELS.nbytes)]
        )

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(PIXELS.shape, "u1")
        layout[:] = h5py.VirtualSource(secret, "x", PIXELS.shape)
        file.create_virtual_dataset("x", layout)

    for number, make in enumerate((link, soft, external, virtual)):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            make(file)
            file["y"] = LABELS
        with pytest.raises(InputError, match=r"no array of pictures|kept in another file"):
            open_images(path)


def test_hdf5_bombs(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (1_000_000, 32, 32, 3), "u1", chunks=(1, 32, 32, 3))
        file.create_dataset("y", (1_000_000,), "u1", chunks=(1000,), compression="gzip")
    with pytest.raises(InputError, match="more than the file can hold"):
        open_images(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        big = file.create_dataset(
            "x", (10, 4096, 4096), "u1", chunks=(10, 4096, 4096), compression="gzip"
        )
        big[:] = 0
        file["y"] = np.zeros(10, int)
    with pytest.raises(InputError, match="chunks of more than 64 MiB"):
        open_images(tmp_path / "b.h5")


def test_an_audit_is_no_set_of_images(tmp_path: Path) -> None:
    from bdshift.store.schema import FORMAT

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["format"] = np.bytes_(FORMAT)
        file["embedding/thumbnails"], file["embedding/labels"] = PIXELS, LABELS
    with pytest.raises(InputError, match="is an audit of bdshift, and holds no images"):
        open_images(tmp_path / "a.h5")


# --- CIFAR


def records(pixels: Bytes, *labels: NDArray[Any]) -> bytes:
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    return np.hstack([*(label[:, None].astype(np.uint8) for label in labels), planes]).tobytes()


def as_python_2(content: dict[str, Any]) -> bytes:
    """A pickle of protocol 2 as CIFAR's own: text and bytes are both Python 2's byte strings."""

    def value(item: Any) -> bytes:
        if isinstance(item, str | bytes):
            raw = item.encode() if isinstance(item, str) else item
            return b"T" + struct.pack("<i", len(raw)) + raw
        if isinstance(item, int):
            return b"J" + struct.pack("<i", item)
        if isinstance(item, list):
            return b"](" + b"".join(map(value, item)) + b"e"
        dtype = b"cnumpy\ndtype\n(" + value("u1") + value(0) + value(1) + b"tR(" + value(3)
        dtype += value("|") + b"NNN" + value(-1) + value(-1) + value(0) + b"tb"
        shape = b"(" + b"".join(map(value, item.shape)) + b"t"
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + value(0) + b"t"
            + value("b") + b"tR(" + value(1) + shape + dtype + b"\x89" + value(item.tobytes())
            + b"tb"
        )  # fmt: skip

    rows = b"".join(value(key) + value(item) for key, item in content.items())
    return b"\x80\x02}(" + rows + b"u."


def batch(key: str = "labels", **more: Any) -> dict[str, Any]:
    planes = PIXELS.transpose(0, 3, 1, 2).reshape(COUNT, -1)
    return {"data": np.ascontiguousarray(planes), key: LABELS.tolist(), **more}


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    root = tmp_path / "data" / "cifar-10-batches-py"
    root.mkdir(parents=True)
    (root / "test_batch").write_bytes(as_python_2(batch(filenames=["a.png"] * COUNT)))
    (root / "data_batch_1").write_bytes(as_python_2(batch()))
    (root / "batches.meta").write_bytes(as_python_2({"label_names": TEN}))
    return root


def test_cifar_pickles(cifar: Path) -> None:
    (cifar.parent / "cifar-10-python.tar.gz").write_bytes(b"beside the folder, as downloaded")
    for path in (cifar, cifar.parent, cifar / "test_batch"):
        found = open_images(path)
        check(found, PIXELS, LABELS, TEN)
        assert found.files[0].name == "test_batch/00001"
        assert found.folders == tuple(TEN)
    assert open_images(cifar).notes == ("Took test_batch, and not data_batch_1",)
    assert open_images(cifar / "data_batch_1").files[0].name == "data_batch_1/00001"
    (cifar / "test_batch").unlink()
    (cifar / "data_batch_2").write_bytes((cifar / "data_batch_1").read_bytes())
    found = open_images(cifar)
    assert len(found.files) == 2 * COUNT
    assert {f.name.partition("/")[0] for f in found.files} == {"data_batch_1", "data_batch_2"}
    (cifar / "batches.meta").unlink()
    assert open_images(cifar).folders == ("0", "1", "2", "3", "9")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_cifar_pickled_again(tmp_path: Path, protocol: int) -> None:
    content = batch("fine_labels", coarse_labels=[0] * COUNT)
    content = {key.encode(): value for key, value in content.items()} if protocol > 3 else content
    (tmp_path / "test").write_bytes(pickle.dumps(content, protocol))
    names = [f"name {i}" for i in range(100)]
    (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": names}, protocol))
    (tmp_path / "train").write_bytes(b"not looked at")
    for path in (tmp_path, tmp_path / "test"):
        check(open_images(path), PIXELS, LABELS, names[:10])


def test_cifar_binary(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(records(PIXELS, LABELS))
    (tmp_path / "data_batch_1.bin").write_bytes(records(PIXELS[:5], LABELS[:5]))
    (tmp_path / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")
    for path in (tmp_path, tmp_path / "test_batch.bin"):
        check(open_images(path), PIXELS, LABELS, TEN)
    hundred = tmp_path / "100"
    hundred.mkdir()
    (hundred / "test.bin").write_bytes(records(PIXELS, LABELS % 3, LABELS * 11))
    (hundred / "fine_label_names.txt").write_text("\n".join(f"n{i}" for i in range(100)))
    for path in (hundred, hundred / "test.bin"):
        found = open_images(path)
        check(found, PIXELS, LABELS * 11, [f"n{i}" for i in range(100)])
        assert len(found.folders) == 100


class Hostile:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"data": Hostile(), "labels": [1]}, "no data and labels"),
        ({"data": np.zeros((2, 12), np.uint8), "labels": [Hostile(), 1]}, "no list of numbers"),
        (Hostile(), "holds no dict"),
        ({"data": np.zeros((2, 12), np.float32), "labels": [0, 1]}, "no data and labels"),
        ({"data": np.zeros((2, 10), np.uint8), "labels": [0, 1]}, "no square pictures"),
        ({"data": np.zeros((2, 12), np.uint8), "labels": [0]}, "2 pictures, but 1 labels"),
        ({"data": np.zeros((2, 12), np.uint8), "labels": [0, -1]}, "counted from 0"),
        ({"state_dict": {}}, "no data and labels"),
    ],
)
def test_pickles_that_are_no_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, words: str
) -> None:
    (tmp_path / "test_batch").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(InputError, match=words):
        open_images(tmp_path / "test_batch")
    assert not capsys.readouterr().out


# --- IDX


def idx(values: Bytes) -> bytes:
    return (
        b"\0\0\x08"
        + bytes([values.ndim])
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.tobytes()
    )


@pytest.mark.parametrize(
    "form", ["{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte", "emnist-{}-{}-idx{}-ubyte"]
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path: Path, form: str, suffix: str) -> None:
    pack = gzip.compress if suffix else bytes
    for kind, number, values in (("images", 3, GREY), ("labels", 1, LABELS.astype(np.uint8))):
        (tmp_path / (form.format("t10k", kind, number) + suffix)).write_bytes(pack(idx(values)))
        (tmp_path / (form.format("train", kind, number) + suffix)).write_bytes(
            pack(idx(values[:4]))
        )
    images, labels = (form.format("t10k", k, n) + suffix for k, n in (("images", 3), ("labels", 1)))
    for path in (tmp_path, tmp_path / images, tmp_path / labels):
        found = open_images(path)
        check(found, GREY, LABELS)
        assert found.files[0].name.endswith("t10k/00001")
    note = f"Took {images}, and not {form.format('train', 'images', 3)}{suffix}"
    assert open_images(tmp_path).notes == (note,)
    assert len(open_images(tmp_path / (form.format("train", "images", 3) + suffix)).files) == 4


def test_idx_without_its_partner(tmp_path: Path) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(idx(GREY))
    with pytest.raises(InputError, match="its labels are not beside it"):
        open_images(path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS.astype(np.uint8)))
    with pytest.raises(InputError, match="its labels are not beside it"):
        open_images(path)
    (tmp_path / "t10k-labels.idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(LABELS.astype(np.uint8)))
    )
    check(open_images(path), GREY, LABELS)
    path.rename(tmp_path / "mine")
    with pytest.raises(InputError, match="called unlike MNIST's files"):
        open_images(tmp_path / "mine")
    (tmp_path / "a-test-images-idx3-ubyte").write_bytes(idx(GREY))
    (tmp_path / "b-test-images-idx3-ubyte").write_bytes(idx(GREY))
    with pytest.raises(InputError, match="open one of them"):
        open_images(tmp_path)


# --- class folders in a tar, and what does not belong into archives

MEMBERS = {f"{'cat' if row % 2 else 'été 犬'}/{row}.png": png(PIXELS[row]) for row in range(COUNT)}


def check_members(found: ImageCollection) -> None:
    assert found.folders == ("cat", "été 犬")
    batch = decode_all(found, found.files, 32)
    assert not batch.skipped
    assert sorted(f.name for f in batch.files) == sorted(MEMBERS)
    for file, pixels in zip(batch.files, batch.pixels, strict=True):
        row = int(Path(file.name).stem)
        assert np.array_equal(pixels.transpose(1, 2, 0), PIXELS[row])


def write_tar(
    path: Path, mode: str = "w", prefix: str = "", form: int = tarfile.PAX_FORMAT
) -> Path:
    with tarfile.open(path, mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in MEMBERS.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


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
    reasons = {skip.name: skip.reason for skip in found.skipped}
    assert reasons == {name.lstrip("/"): reason for name, (_, reason) in kinds.items()}
    assert path.exists()


def test_tars_that_are_cut_or_lie(tmp_path: Path) -> None:
    data = bytearray(write_tar(tmp_path / "a.tar", form=tarfile.USTAR_FORMAT).read_bytes())
    (tmp_path / "cut.tar").write_bytes(data[:-15_000])
    cut = open_images(tmp_path / "cut.tar")
    assert cut.skipped[-1].reason == "the archive is cut short"
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
    assert broken.skipped[-1].reason == "the archive is broken from here on"
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
        assert [s.reason for s in found.skipped] == [
            "its name is absolute", "its name leads out of the archive",
        ], number  # fmt: skip


# --- tables


def table_folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    for row in range(COUNT):
        (root / "images" / f"{row}.png").write_bytes(png(PIXELS[row]))
    return root


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
    assert [s.reason for s in found.skipped] == [
        "has too few columns", *filter(None, lines.values()), "it is named twice",
        "it has no label",
    ]  # fmt: skip
    batch = decode_all(found, found.files, 32)
    assert [f.name for f in batch.files] == ["images/1.png", "images/2.png", "images/4.png"]
    assert [(s.name, s.reason) for s in batch.skipped] == [
        ("images/link.png", "a link that leads out of the folder")
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c\n1,2,3\n", "takes a column called path or filename"),
        ("path,label\nnone.png,1\n", r"no picture that is there \(none.png: no such file\)"),
        ("path,label\n", "no picture that is there"),
        ("", "takes a column"),
        ('path,label\n"' + "x" * 200_000 + '",1\n', "is no table"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        open_images(tmp_path / "a.csv")


# --- Parquet


def write_parquet(path: Path, *, names: list[str] | None = TEN, **options: Any) -> Path:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": png(pixels), "path": "/etc/passwd"} for pixels in PIXELS]
    table = pa.table({"image": pa.array(rows, image), "label": pa.array(LABELS.tolist())})
    label = {"_type": "ClassLabel", "names": names} if names else {"_type": "Value"}
    features = {"image": {"_type": "Image"}, "label": label}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(about), path, **{"row_group_size": 5, **options})
    return path


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
    assert [(s.name, s.reason) for s in batch.skipped] == [
        ("img/00004", "its bytes are not in the file")
    ]
    assert len(batch.files) == COUNT - 1
    for columns, words in (
        ({"img": data}, "no column that is clearly the label's"),
        ({"label": [1] * COUNT}, "no column that is clearly the picture's"),
        ({"img": data, "label": ["a"] * COUNT}, "holds no class numbers"),
        ({"img": [1] * COUNT, "label": [1] * COUNT}, "holds no encoded pictures"),
        ({"img": data, "label": [-1] * COUNT}, "counted from 0"),
        ({"img": data, "label": [1, None] * (COUNT // 2)}, "from nan to nan"),
    ):
        pq.write_table(pa.table(columns), tmp_path / "a")
        with pytest.raises(InputError, match=words):
            open_images(tmp_path / "a")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"pip install \"bdshift\[parquet\]\""):
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
    with pytest.raises(InputError, match="MiB of pictures"):
        found.read(found.files[0])


# --- pixels of encoded pictures


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


def raw_png(depth: int, colour: int, samples: NDArray[Any], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand: samples are (h, w·channels), big-endian where they have 16 bits."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, row_bytes = samples.shape[0], samples.nbytes // samples.shape[0]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    width = row_bytes * 8 // (depth * channels)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + b"".join(chunk(*item) for item in chunks) + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colours(colour: int, channels: int) -> None:
    """Pillow keeps the upper byte of these: at most one level from rounding."""
    samples = RNG.integers(0, 65536, (32, 32, channels), dtype=np.uint16)
    got = decode_image(raw_png(16, colour, samples.reshape(32, -1).astype(">u2")), 32)
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

    def watched(image: Image.Image, size: int) -> Image.Image:
        held.append(decode._heavy.locked())
        return fit(image, size)

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

    for values in (GREY[0].astype(np.float32), GREY[0] / np.float32(255), GREY[0].astype(np.int32)):
        assert np.array_equal(decode_image(tiff(values), 28)[0], GREY[0])
    for values in (
        GREY[0] * np.float32(1e6),
        GREY[0] - np.float32(99),
        GREY[0] * np.float32(np.nan),
    ):
        with pytest.raises(InputError, match=r"no usual scale|no numbers"):
            decode_image(tiff(values), 28)


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
    reasons = {skip.name: skip.reason for skip in found.skipped}
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

    with pytest.raises(Cancelled):
        open_images(tmp_path, job=Impatient())
    monkeypatch.setattr(naming, "MAX_FILES", 10)
    with pytest.raises(InputError, match="more than 10 pictures"):
        open_images(tmp_path)


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
    tracemalloc.start()
    with pytest.raises(InputError, match="unpacks to more than 19 MiB; unpack it"):
        open_images(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_claims_beyond_all_memory(tmp_path: Path) -> None:
    """None of these is more than a few kilobytes, and none takes more than a moment."""
    started = time.perf_counter()
    huge = struct.pack(">3I", 60_000, 60_000, 60_000)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x08\3" + huge)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\xff\xff\xff\xff")
    with pytest.raises(InputError, match=r"MiB; gunzip|cut short"):
        open_images(tmp_path / "t10k-images-idx3-ubyte")
    for path in list(tmp_path.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    with pytest.raises(InputError, match=r"gunzip it first|cut short"):
        open_images(tmp_path)

    info = tarfile.TarInfo("cat/1.png")
    info.type, info.size = b"L", 2**33
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(InputError, match="the archive is broken"):
        open_images(tmp_path / "a.tar")
    info.type, info.size = tarfile.REGTYPE, 2**62
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(InputError, match="the archive is cut short"):
        open_images(tmp_path / "a.tar")

    for record in (b"0 a=b\n", b"3 a=b\n", b"99 a=b\n", b"6 a=b\n"):  # each once a loop, or slow
        info.type, info.size = tarfile.XHDTYPE, 1_000_000 // len(record) * len(record)
        body = (record * (info.size // len(record))).ljust(-(-info.size // 512) * 512, b"\0")
        last = tarfile.TarInfo("cat/1.png").tobuf()
        (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + body + last)
        assert open_images(tmp_path / "a.tar").files

    wide = bytearray(lzma.compress(bytes(1000)))
    end = 12 + 4 * wide[12]  # of the block's header, where its checksum lies
    wide[wide.index(b"\x21\x01", 12) + 2] = 40  # a dictionary of 4 GiB
    wide[end : end + 4] = struct.pack("<I", zlib.crc32(bytes(wide[12:end])))
    (tmp_path / "a.xz").write_bytes(wide)
    with pytest.raises(InputError, match=r"[Mm]emory"):
        open_images(tmp_path / "a.xz")

    for name, extra in (("a.npz", {"compression": zipfile.ZIP_DEFLATED}), ("b.npz", {})):
        header = "{'descr': '<f8', 'fortran_order': False, 'shape': (12, 60000, 60000), }"
        with zipfile.ZipFile(tmp_path / name, "w", **extra) as archive:  # type: ignore[arg-type]
            archive.writestr("x.npy", npy(header, bytes(10_000)))
            stream = io.BytesIO()
            np.save(stream, LABELS)
            archive.writestr("y.npy", stream.getvalue())
        with pytest.raises(InputError, match=r"MiB unpacked|cut short"):
            open_images(tmp_path / name)
    assert time.perf_counter() - started < 5


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
        "idx": ("t10k-images-idx3-ubyte", idx(GREY[:2, :4, :4])),
        "idx.gz": ("t10k-images-idx3-ubyte.gz", gzip.compress(idx(GREY[:2, :4, :4]))),
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
@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # of pickletools
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
