"""CIFAR's and MNIST's own files: the very pixels that were put in, or one sentence."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_set_files import (
    COUNT,
    GRAY,
    LABELS,
    PIXELS,
    TEN,
    batch,
    check,
    idx,
    records,
)

from bdshift.errors import InputError
from bdshift.images.collection import open_images

# --- CIFAR


def test_cifar_pickles(cifar: Path) -> None:
    (cifar.parent / "cifar-10-python.tar.gz").write_bytes(b"beside the folder, as downloaded")
    for path in (cifar, cifar.parent, cifar / "test_batch"):
        found = open_images(path)
        check(found, PIXELS, LABELS, TEN)
        assert found.files[0].name == "test_batch/00001"
        assert found.folders == tuple(TEN)
    assert [str(note) for note in open_images(cifar).notes] == [
        "Took test_batch, and not data_batch_1"
    ]
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
    content: dict[Any, Any] = batch("fine_labels", coarse_labels=[0] * COUNT)
    if protocol > 3:
        content = {key.encode(): value for key, value in content.items()}
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
        ({"data": np.zeros((2, 12), np.uint8), "labels": [Hostile(), 1]}, "not a list of numbers"),
        (Hostile(), "holds no dict"),
        ({"data": np.zeros((2, 12), np.float32), "labels": [0, 1]}, "no data and labels"),
        ({"data": np.zeros((2, 10), np.uint8), "labels": [0, 1]}, "not square images"),
        ({"data": np.zeros((2, 12), np.uint8), "labels": [0]}, "2 images, but 1 label$"),
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


@pytest.mark.parametrize(
    "form", ["{}-{}-idx{}-ubyte", "{}-{}.idx{}-ubyte", "emnist-{}-{}-idx{}-ubyte"]
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx(tmp_path: Path, form: str, suffix: str) -> None:
    pack = gzip.compress if suffix else bytes
    for kind, number, values in (("images", 3, GRAY), ("labels", 1, LABELS.astype(np.uint8))):
        (tmp_path / (form.format("t10k", kind, number) + suffix)).write_bytes(pack(idx(values)))
        (tmp_path / (form.format("train", kind, number) + suffix)).write_bytes(
            pack(idx(values[:4]))
        )
    images, labels = (form.format("t10k", k, n) + suffix for k, n in (("images", 3), ("labels", 1)))
    for path in (tmp_path, tmp_path / images, tmp_path / labels):
        found = open_images(path)
        check(found, GRAY, LABELS)
        assert found.files[0].name.endswith("t10k/00001")
    note = f"Took {images}, and not {form.format('train', 'images', 3)}{suffix}"
    assert [str(one) for one in open_images(tmp_path).notes] == [note]
    assert len(open_images(tmp_path / (form.format("train", "images", 3) + suffix)).files) == 4


def test_idx_without_its_partner(tmp_path: Path) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(idx(GRAY))
    with pytest.raises(InputError, match="its label file is not in the same folder"):
        open_images(path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS.astype(np.uint8)))
    with pytest.raises(InputError, match="its label file is not in the same folder"):
        open_images(path)
    (tmp_path / "t10k-labels.idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(LABELS.astype(np.uint8)))
    )
    check(open_images(path), GRAY, LABELS)
    path.rename(tmp_path / "mine")
    with pytest.raises(InputError, match="is not named like MNIST's files"):
        open_images(tmp_path / "mine")
    (tmp_path / "a-test-images-idx3-ubyte").write_bytes(idx(GRAY))
    (tmp_path / "b-test-images-idx3-ubyte").write_bytes(idx(GRAY))
    with pytest.raises(InputError, match="open one of them"):
        open_images(tmp_path)
