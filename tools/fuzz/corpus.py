"""Writes the kept corpora: small valid files of every kind that the readers know.

Usage: python -m tools.fuzz.corpus [FOLDER]   (from the repository's root; about a minute)
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import shutil
import struct
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

from bdshift.audit import Audit, ScanSettings, add_tac, scan_opened
from bdshift.audit.purifying import purify_model
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.images.collection import open_images
from bdshift.images.signs import write_signs
from bdshift.purification.methods.cut import Cut
from bdshift.store import save_audit
from bdshift.triggers import parse_trigger
from tools.fuzz.audits import CORPUS, TEMPLATE
from tools.fuzz.images import LABEL_NAMES, SET_NAMES

Files = Mapping[str, bytes]
_MODEL = Path("tests/data/victim.pth")
_FORMATS = "PNG JPEG BMP GIF WEBP TIFF PPM TGA JPEG2000".split()


def _written(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Linear(2, 3))


def _saved(value: Any, **options: Any) -> bytes:
    return _written(lambda stream: torch.save(value, stream, **options))


def _keras(stream: io.BytesIO) -> None:
    layers = [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, 4, 4, 1]}},
        {"class_name": "Flatten", "config": {"name": "flat"}},
        {"class_name": "Dense", "config": {"name": "dense", "activation": "softmax"}},
    ]
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}
    with h5py.File(stream, "w") as file:
        file.attrs["keras_version"], file.attrs["model_config"] = "2.15.0", json.dumps(model)
        group = file.create_group("model_weights/dense/dense")
        group["kernel:0"], group["bias:0"] = np.ones((16, 3), "f4"), np.ones(3, "f4")


def checkpoints() -> Files:
    network = _network()
    state = network.state_dict()
    wrapped = {"epoch": 3, "model": state, "optimizer": {"lr": 0.1, "betas": (0.9, 0.999)}}
    return {
        "state.pt": _saved(state),
        "wrapped.pt": _saved(wrapped),
        "module.pt": _saved(network),
        "legacy.pt": _saved(wrapped, _use_new_zipfile_serialization=False),
        "legacy-module.pt": _saved(network, _use_new_zipfile_serialization=False),
        "plain.pkl": pickle.dumps({"w": np.ones((2, 2), "f4"), "n": 1}, 2),
        "table.safetensors": save(dict(state), {"format": "pt"}),
        "keras.h5": _written(_keras),
    }


def pickles_in_zips() -> Files:
    found = {}
    for name in ("state.pt", "wrapped.pt", "module.pt"):
        with zipfile.ZipFile(io.BytesIO(checkpoints()[name])) as archive:
            inside = next(one for one in archive.namelist() if one.endswith("data.pkl"))
            found[f"{name}.pkl"] = archive.read(inside)
    return found


def pickles() -> Files:
    found = dict(pickles_in_zips())
    values = {"a": [1, 2.5, (None, True)], "b": {"x", "y"}, "c": b"12", "d": 2**70}
    for protocol in range(6):
        found[f"protocol-{protocol}.pkl"] = pickle.dumps(values, protocol)
    return found


def _picture(seed: int, mode: str = "RGB") -> Image.Image:
    shape = (9, 7, 3) if mode == "RGB" else (9, 7)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def _encoded(form: str, mode: str = "RGB", **options: Any) -> bytes:
    return _written(lambda stream: _picture(0, mode).save(stream, form, **options))


def pictures() -> Files:
    turned = Image.Exif()
    turned[0x0112] = 6
    found = {f"{form.lower()}": _encoded(form) for form in _FORMATS}
    return found | {
        "turned.jpg": _encoded("JPEG", exif=turned),
        "progressive.jpg": _encoded("JPEG", progressive=True),
        "palette.png": _encoded("PNG", "P"),
        "deep.png": _encoded("PNG", "I;16"),
        "float.tif": _encoded("TIFF", "F", compression="tiff_lzw"),
        "text.ppm": b"P3\n# note\n2 2\n255\n" + b"1 2 3 4 5 6 7 8 9 10 11 12\n",
        "bits.pbm": b"P1\n3 2\n1 0 1\n0 1 0\n",
        "lossless.webp": _encoded("WEBP", lossless=True),
    }


def _parquet(stream: io.BytesIO) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": _encoded("PNG"), "path": "a.png"}] * 3
    table = pa.table({"image": pa.array(rows, image), "label": pa.array([0, 1, 1])})
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["a", "b"]}}
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(about), stream)


def _zip(stream: io.BytesIO) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("set/cat/0.png", "set/dog/1.png", "set/labels.csv"):
            archive.writestr(name, _encoded("PNG") if name.endswith("png") else "filename,label\n")


def _tar(stream: io.BytesIO) -> None:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("cat/0.png", "dog/1.png"):
            info = tarfile.TarInfo(name)
            info.size = len(_encoded("PNG"))
            archive.addfile(info, io.BytesIO(_encoded("PNG")))


def _hdf5(stream: io.BytesIO) -> None:
    with h5py.File(stream, "w") as file:
        file["images"] = np.zeros((3, 4, 4, 3), np.uint8)
        file["labels"] = np.arange(3)


def image_sets() -> Files:
    pixels, numbers = np.zeros((3, 4, 4), np.uint8), np.array([0, 1, 1])
    idx = b"\0\0\x08\3" + struct.pack(">3I", 3, 4, 4) + pixels.tobytes()
    row = bytes([1]) + bytes(3072)
    cifar = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}
    parts: dict[str, bytes] = {
        "set.zip": _written(_zip),
        "set.tar": _written(_tar),
        "set.npz": _written(lambda stream: np.savez(stream, images=pixels, labels=numbers)),
        "set.npy": _written(lambda stream: np.save(stream, pixels)),
        "set.h5": _written(_hdf5),
        "set.csv": b"filename,label\na.png,cat\nb.png,dog\n",
        "set.parquet": _written(_parquet),
        "set.gz": gzip.compress(_written(_tar), mtime=0),
        "images-idx3-ubyte": idx,
        "test_batch.bin": row * 2,
        "set.pkl": pickle.dumps(cifar, 2),
    }
    return {name: bytes([SET_NAMES.index(name)]) + data for name, data in parts.items()}


def label_files() -> Files:
    numbers = np.arange(3)
    rows = [{"filename": f"{i}.ppm", "label": "cat"} for i in range(3)]
    coco = {
        "images": [{"id": 1, "file_name": "0.ppm"}], "categories": [{"id": 7, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 7}],
    }  # fmt: skip
    parts: dict[str, bytes] = {
        "labels.csv": b"filename,label\n0.ppm,cat\n1.ppm,dog\n2.ppm,cat\n",
        "labels.txt": b"0.ppm 0\n1.ppm 1\n2.ppm 1\n",
        "labels.json": json.dumps(rows).encode(),
        "labels.npy": _written(lambda stream: np.save(stream, numbers)),
        "labels.npz": _written(lambda stream: np.savez(stream, labels=numbers)),
        "labels.pkl": pickle.dumps({"labels": [0, 1, 2]}, 2),
    }
    found = {name: bytes([LABEL_NAMES.index(name)]) + data for name, data in parts.items()}
    return found | {
        "coco.json": bytes([LABEL_NAMES.index("labels.json")]) + json.dumps(coco).encode()
    }


def write_audits(folder: Path) -> None:
    """An audit with a TAC; the same with a purified model, and the text of that."""
    with tempfile.TemporaryDirectory() as name:
        write_signs(Path(name) / "signs", 2)
        opened = open_checkpoint(_MODEL), open_images(Path(name) / "signs")
        few = ScanSettings(sample=24, normalize="half")  # one reading: short texts are read faster
        audit, material = scan_opened(*opened, few)
        measured = add_tac(audit, material, parse_trigger("badnets"), 3)
        made = purify_model(measured, material, Cut(neurons="3"), 3)
    slim = replace(made, result=replace(made.result, weights=None))
    purified: Audit = replace(measured, purifications=(slim,))
    for path in (folder / "audit" / "small.h5", folder / TEMPLATE.relative_to(CORPUS)):
        path.parent.mkdir(parents=True, exist_ok=True)
    save_audit(measured, folder / "audit" / "small.h5", embeddings=False)
    save_audit(purified, folder / TEMPLATE.relative_to(CORPUS), embeddings=False)
    with h5py.File(folder / TEMPLATE.relative_to(CORPUS), "r") as file:
        _write(folder / "audit-text", {"purified.json": file["audit.json"][()].tobytes()})


def _write(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    write_audits(folder)
    for name, files in (
        ("checkpoint", checkpoints()), ("pickle-in-zip", pickles_in_zips()),
        ("pickle-alone", pickles()), ("picture", pictures()),
        ("image-set", image_sets()), ("labels", label_files()),
    ):  # fmt: skip
        _write(folder / name, files)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    print(f"{len(sizes)} files, {sum(sizes):,} bytes in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS)
