"""Arrays, in .npz and HDF5: the very pixels that were put in, or one sentence."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bounded import peak_at_most
from image_set_files import (
    COUNT,
    LABELS,
    PIXELS,
    RNG,
    TEN,
    Bytes,
    check,
    npy,
)
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.collection import ImageFile, open_images
from bdshift.images.labels import map_classes
from bdshift.images.loader import decode_all
from bdshift.images.sources.arrays import class_numbers
from bdshift.images.sources.pairs import find_pair

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
    assert "beyond those of the other images (0 to 1)" in str(batch.skipped[0].reason)


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
        (np.array([0, -1]), "from -1 to 0"), (np.array([0.5, 1.0]), "not whole numbers"),
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
        ({"y": LABELS}, "no array of images"),
        ({"x": PIXELS, "y": LABELS[:5]}, "no labels of the same number"),
        ({"x_test": PIXELS, "y_train": LABELS}, "no labels of the same number"),
        ({"x": PIXELS.reshape(COUNT, -1), "y": LABELS}, "no array of images"),
        (
            {"x": PIXELS.astype(object), "y": LABELS},
            "x is never loaded, since it is not plain numbers",
        ),
        ({"x": PIXELS[:, :, :, :2], "y": LABELS}, "no axis of 1, 3 or 4 channels"),
        ({"x": PIXELS[:, :3], "y": LABELS}, "first or last"),
        ({"x": PIXELS[:0], "y": LABELS[:0]}, "holds no"),
        ({"x": PIXELS[:, :0], "y": LABELS}, "holds no images"),
        ({"x": (PIXELS - 120.0) / 60, "y": LABELS}, "normalized already"),
        ({"x": PIXELS * np.float32(np.nan), "y": LABELS}, "NaN"),
        ({"x": PIXELS * 1j, "y": LABELS}, "never loaded"),
        ({"x": PIXELS.astype("i4") * 300, "y": LABELS}, "normalized already"),
        ({"x": PIXELS, "y": LABELS, "labels": LABELS}, r"several labeled sets \(x with y, x with"),
        ({"a_x": PIXELS, "b_x": PIXELS, "y": LABELS}, "several labeled sets"),
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
    assert [str(note) for note in found.notes] == [
        "Took test/images with test/labels, and not train/images"
    ]


def test_hdf5_is_not_read_at_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=np.zeros((4_000, 64, 64, 3), np.uint8), compression="gzip")
        file["y"] = np.zeros(4_000, int)
    with peak_at_most(8_000_000):  # of 49 MB
        found = open_images(tmp_path / "a.h5")
        found.read(found.files[1_234])


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
        with pytest.raises(InputError, match=r"no array of images|kept in another file"):
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
