"""What a path is told to be, by what it holds."""

from __future__ import annotations

import gzip
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

from bdshift.kinds import kind_of


def test_a_path_is_what_it_holds(tmp_path: Path, victim: Path) -> None:
    def path(name: str, data: bytes = b"") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    idx = b"\0\0\x08\x03" + struct.pack(">3I", 1, 28, 28) + bytes(784)
    batch = pickle.dumps({b"batch_label": b"", b"data": b"", b"labels": []}, 2)
    kinds = {
        path("t10k-images-idx3-ubyte", idx): "images",
        path("labels.gz", gzip.compress(idx)): "images",
        path("test_batch", batch): "images",
        path("test_batch.bin", bytes(3073 * 2)): "images",
        path("set.csv", b"path,label\na.png,1\n"): "images",
        path("set.parquet", b"PAR1...PAR1"): "images",
        path("model.pkl", pickle.dumps({"state_dict": {}}, 2)): "model",
        path("weights.bin", bytes(1000)): "model",
        victim: "model",
        tmp_path: "images",
    }
    np.savez(tmp_path / "set.npz", x=np.zeros((1, 8, 8), np.uint8), y=np.zeros(1, np.int64))
    kinds[tmp_path / "set.npz"] = "images"
    with h5py.File(tmp_path / "set.h5", "w") as file:
        file["x"] = np.zeros((1, 8, 8), np.uint8)
    kinds[tmp_path / "set.h5"] = "images"
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(victim, "cat/a.png")
    kinds[tmp_path / "set.tar"] = "images"
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        zipped.writestr("cat/a.png", b"")
    kinds[tmp_path / "set.zip"] = "images"
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit" / "model.safetensors").touch()
    kinds[tmp_path / "vit"] = "model"
    assert {one.name: kind_of(one) for one in kinds} == {
        one.name: kind for one, kind in kinds.items()
    }


def test_an_audit_and_what_cannot_be_read(tmp_path: Path, saved: Path) -> None:
    assert kind_of(saved) == "audit"
    assert kind_of(tmp_path / "nothing") == "model", "opening it says why"
