"""Labeled images in every kind of set, for the tests of `bdshift.images`."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bdshift.images.collection import ImageCollection
from bdshift.images.decode import decode_image
from bdshift.images.labels import map_classes
from bdshift.images.loader import decode_all

COUNT = 12
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
GRAY = RNG.integers(0, 256, (COUNT, 28, 28), dtype=np.uint8)
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
    """Assert that all images are there, exactly, under their classes; ``names`` are those of all
    classes.
    """
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


def npy(header: str, data: bytes) -> bytes:
    line = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line + data


def records(pixels: Bytes, *labels: NDArray[Any]) -> bytes:
    planes = pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)
    return np.hstack([*(label[:, None].astype(np.uint8) for label in labels), planes]).tobytes()


def as_python_2(content: dict[str, Any]) -> bytes:
    """A pickle of protocol 2 like CIFAR's own: text and bytes are both Python 2 byte strings."""

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


def cifar_folder(tmp_path: Path) -> Path:
    root = tmp_path / "data" / "cifar-10-batches-py"
    root.mkdir(parents=True)
    (root / "test_batch").write_bytes(as_python_2(batch(filenames=["a.png"] * COUNT)))
    (root / "data_batch_1").write_bytes(as_python_2(batch()))
    (root / "batches.meta").write_bytes(as_python_2({"label_names": TEN}))
    return root


def idx(values: Bytes) -> bytes:
    return (
        b"\0\0\x08"
        + bytes([values.ndim])
        + struct.pack(f">{values.ndim}I", *values.shape)
        + values.tobytes()
    )


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


def table_folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    for row in range(COUNT):
        (root / "images" / f"{row}.png").write_bytes(png(PIXELS[row]))
    return root


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
