"""Keras files whose descriptions or weights are forged: one sentence, little work."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bounded import calls_at_most, peak_at_most
from keras_files import layer, sequential, write_archive, write_hdf5

from bdshift.checkpoints.described.keras_file import description
from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError

MIB = 2**20
HUGE = 10**400
INPUT = layer("InputLayer", "in", batch_shape=[None, 32, 32, 3])
DENSE = {"kernel": np.zeros((3, 5), np.float32), "bias": np.zeros(5, np.float32)}


def _functional(*layers: dict[str, Any], output: str) -> dict[str, Any]:
    config = {"layers": [INPUT, *layers], "output_layers": [[output, 0, 0]]}
    return {"class_name": "Functional", "config": config}


def _then(inbound: list[Any], kind: str, name: str) -> dict[str, Any]:
    return {**layer(kind, name), "inbound_nodes": inbound}


def _added(times: int) -> dict[str, Any]:
    return _functional(
        _then([[["in", 0, 0, {}]] * times], "Add", "a"),
        _then([[["a", 0, 0, {}]]], "GlobalAveragePooling2D", "g"),
        _then([[["g", 0, 0, {}]]], "Dense", "d"),
        output="d",
    )


SOUND = _added(2)
FORGED: dict[str, dict[str, Any]] = {
    "text": {"class_name": "Sequential", "config": "x"},
    "a number": {"class_name": "Sequential", "config": 5},
    "a huge number": sequential(layer("ReLU", "r", max_value=HUGE)),
    "a number's class": sequential(layer("ReLU", "r", max_value={"config": 5})),
    "a huge input": {
        "class_name": "Sequential",
        "config": [layer("InputLayer", "in", batch_shape=[None, HUGE]), layer("Dense", "d")],
    },
    "an input's class": _functional(_then([{"args": [{"config": 5}]}], "ReLU", "r"), output="r"),
    "a million inputs": _added(200_000),
    "itself": _functional(_then([[["r", 0, 0, {}]]], "ReLU", "r"), output="r"),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_descriptions_are_refused(name: str, tmp_path: Path) -> None:
    write_hdf5(tmp_path / "m.h5", FORGED[name], {"d": DENSE})
    write_archive(tmp_path / "m.keras", FORGED[name], {"dense": DENSE})
    write_hdf5(tmp_path / "sound", SOUND, {"d": DENSE})
    read_checkpoint(tmp_path / "sound")  # torch loads what it needs
    for path in (tmp_path / "m.h5", tmp_path / "m.keras"):
        with calls_at_most(5_000_000), pytest.raises(InputError):
            read_checkpoint(path)


def test_a_description_that_starts_everywhere(tmp_path: Path) -> None:
    start = b'{"class_name": "'
    (tmp_path / "m").write_bytes((struct.pack("<Q", 8 * MIB) + start) * (12 * MIB // 24))
    file = HashedFile(tmp_path / "m")
    with calls_at_most(2_000_000), pytest.raises(InputError, match="several models"):
        description(file, (0, file.size))


def test_a_description_of_many_values(tmp_path: Path) -> None:
    model = json.dumps({"class_name": "Sequential", "config": []})[:-3]
    text = (model + "[" + "{}," * 4_000_000 + "{}]}").encode()
    (tmp_path / "m").write_bytes(struct.pack("<Q", len(text)) + text)
    file = HashedFile(tmp_path / "m")
    with peak_at_most(64 * MIB):
        assert description(file, (0, file.size)) is None


def test_types_and_chunks_that_ask_for_gigabytes(tmp_path: Path) -> None:
    def nested(levels: int) -> Any:
        kind: Any = np.dtype("f4")
        for _ in range(levels):
            kind = np.dtype([(letter, kind) for letter in "ab"])
        return kind

    for name in ("type", "chunk"):
        path = tmp_path / name
        write_hdf5(path, sequential(layer("Flatten", "f"), layer("Dense", "d")), {"d": DENSE})
        with h5py.File(path, "a") as file:
            group = file["model_weights"].create_group("more")
            if name == "type":
                group.create_dataset("w", (1,), nested(6))
            else:
                made = group.create_dataset(
                    "w", (4,), "f4", chunks=(2**24,), maxshape=(None,), compression="gzip"
                )
                made[:] = 1
        with pytest.raises(InputError, match="more/w in a way that is not read"):
            read_checkpoint(path)


def test_thousands_of_layers_and_weights(tmp_path: Path) -> None:
    last = layer("GlobalAveragePooling2D", "g"), layer("Dense", "d")
    many = [layer("Dropout", f"r{number}") for number in range(2000)]
    weights = {f"w{number}": {"x": np.zeros(1, np.float32)} for number in range(1500)}
    for name, layers in {"few": [], "many": many}.items():
        write_hdf5(tmp_path / name, sequential(*layers, *last), {**weights, "d": DENSE})
    read_checkpoint(tmp_path / "few")  # torch loads what it needs
    with calls_at_most(2_500_000):
        assert read_checkpoint(tmp_path / "many").container == "Keras HDF5"
