"""Keras models are rebuilt exactly from what their files say, and nothing in them is run."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from keras_files import layer, sequential, small, write_archive, write_hdf5
from torch.nn import functional

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.export import EXPORT_FORMS, write_checkpoint
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError, UsageError
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.kinds import kind_of

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("write", [write_hdf5, write_archive])
def test_a_model_is_rebuilt(write: Callable[..., None], tmp_path: Path) -> None:
    model, weights, network = small()
    write(tmp_path / "m", model, weights)
    assert kind_of(tmp_path / "m") == "model"
    opened = open_checkpoint(tmp_path / "m")
    [candidate] = opened.candidates
    assert (candidate.head, candidate.sizes, candidate.any_size) == ("dense", (32,), False)
    assert opened.classes == 12
    loaded = opened.load(candidate)
    with torch.inference_mode():
        expected = network(IMAGES)
    assert torch.allclose(loaded.embed(IMAGES)[1], expected.softmax(1), atol=1e-6)
    assert loaded.checked(IMAGES).softmax_inside
    classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
    for name in ("safetensors", "torchscript"):
        write_checkpoint(classifier, tmp_path / name, EXPORT_FORMS.parse(name))
    with pytest.raises(UsageError, match=r"does not write the format of Keras.*safetensors"):
        write_checkpoint(classifier, tmp_path / "out", EXPORT_FORMS.parse("original"))


def test_even_strides_are_padded_as_tensorflow_pads(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    head = np.random.default_rng(1).normal(size=(256, 5)).astype(np.float32)
    model = sequential(
        layer("Conv2D", "c", strides=[2, 2], padding="same", use_bias=False),
        layer("MaxPooling2D", "p", pool_size=[3, 3], strides=[2, 2], padding="same"),
        layer("Flatten", "f"),
        layer("Dense", "d", use_bias=False),
    )
    write_hdf5(tmp_path / "m.h5", model, {"c": {"kernel": kernel}, "d": {"kernel": head}})
    opened = open_checkpoint(tmp_path / "m.h5")
    found = opened.load(opened.candidates[0]).embed(IMAGES)[1]
    weight = torch.from_numpy(kernel).permute(3, 2, 0, 1)
    x = functional.conv2d(functional.pad(IMAGES, (0, 1, 0, 1)), weight, stride=2)
    x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
    expected = x.permute(0, 2, 3, 1).flatten(1) @ torch.from_numpy(head)
    assert torch.allclose(found, expected, atol=1e-4)


def _functional(old: bool) -> dict[str, Any]:
    """Two convolutions, added: in the notation of Keras 2, or of Keras 3."""

    def place(name: str) -> Any:
        tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}
        return [name, 0, 0, {}] if old else tensor

    def after(row: dict[str, Any], *names: str) -> dict[str, Any]:
        places = [place(name) for name in names]
        if old:
            return row | {"inbound_nodes": [places]}
        return row | {"inbound_nodes": [{"args": [places if len(places) > 1 else places[0]]}]}

    same = {"padding": "same", "use_bias": False}
    rows = [
        layer("InputLayer", "in", batch_input_shape=[None, None, None, 3]),
        after(layer("Conv2D", "a", **same), "in"),
        after(layer("Conv2D", "b", activation="relu", **same), "in"),
        after(layer("Add", "add"), "a", "b"),
        after(layer("GlobalAveragePooling2D", "pool"), "add"),
        after(layer("Dense", "unused", use_bias=False), "pool"),
        after(layer("Dense", "out", use_bias=False), "pool"),
    ]
    config = {"layers": rows, "input_layers": [["in", 0, 0]], "output_layers": [["out", 0, 0]]}
    return {"class_name": "Functional", "config": config}


@pytest.mark.parametrize("old", [True, False])
def test_a_graph_of_layers_is_rebuilt(old: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(3, 3, 3, 4)).astype(np.float32) for _ in range(2))
    out = rng.normal(size=(4, 6)).astype(np.float32)
    weights = {name: {"kernel": one} for name, one in zip("ab", (a, b), strict=True)}
    weights |= {"out": {"kernel": out}, "unused": {"kernel": out[:, :2]}}
    write_hdf5(tmp_path / "m.h5", _functional(old), weights, compression="gzip")
    opened = open_checkpoint(tmp_path / "m.h5")
    assert (opened.candidates[0].any_size, opened.classes) == (True, 6)
    found = opened.load(opened.candidates[0]).embed(IMAGES)[1]
    first, second = (torch.from_numpy(one).permute(3, 2, 0, 1) for one in (a, b))
    x = functional.conv2d(IMAGES, first, padding=1)
    x = x + functional.relu(functional.conv2d(IMAGES, second, padding=1))
    assert torch.allclose(found, x.mean((2, 3)) @ torch.from_numpy(out), atol=1e-5)


REFUSED: dict[str, Callable[[dict[str, Any]], None]] = {
    "of the kind Lambda": lambda m: m["config"]["layers"].insert(1, layer("Lambda", "l")),
    "another model inside": lambda m: m["config"]["layers"].insert(1, layer("S", "s", layers=[])),
    "activation my_function": lambda m: m["config"]["layers"][2]["config"].update(
        activation="my_function"
    ),
    "has a strides that": lambda m: m["config"]["layers"][2]["config"].update(strides=[10**9, 1]),
    "not squares": lambda m: m["config"]["layers"][0]["config"].update(
        batch_shape=[None, 32, 48, 3]
    ),
    "not pictures": lambda m: m["config"]["layers"][0]["config"].update(
        batch_shape=[None, 32, 32, 7]
    ),
    "have other shapes|do not fit": lambda m: m["config"]["layers"][0]["config"].update(
        batch_shape=[None, 64, 64, 3]
    ),
    "whose layers are in its code": lambda m: m.update(class_name="MyModel"),
    "description is broken": lambda m: m["config"].update(layers=[3]),
}
BROKEN: list[Callable[[dict[str, Any]], None]] = [
    lambda m: m.update(config=5),
    lambda m: m.update(class_name="Functional", config=m["config"]["layers"]),
    lambda m: m.update(class_name="Functional") or m["config"]["layers"][1].update(
        inbound_nodes=[{"args": [{"config": 3}]}]
    ),
    lambda m: m["config"]["layers"][3]["config"].update(epsilon={"config": 3}),
]  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_rebuilt_is_said(words: str, tmp_path: Path) -> None:
    model, weights, _ = small()
    REFUSED[words](model)
    write_archive(tmp_path / "m.keras", model, weights)
    with pytest.raises(InputError, match=words):
        open_checkpoint(tmp_path / "m.keras")


@pytest.mark.parametrize("change", BROKEN)
def test_values_of_another_kind_are_refused(
    change: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    model, weights, _ = small()
    change(model)
    write_archive(tmp_path / "m.keras", model, weights)
    with pytest.raises(InputError, match=r"broken|not rebuild|several times, or not at all"):
        open_checkpoint(tmp_path / "m.keras")


def test_very_many_beginnings_of_a_description_are_refused(tmp_path: Path) -> None:
    """Each could be as long as the rest of the file, so trying all takes hours."""
    model, weights, _ = small()
    write_hdf5(tmp_path / "m.h5", model, weights)
    start = struct.pack("<Q", 10_000_000) + b'{"class_name": "'
    with (tmp_path / "m.h5").open("ab") as file:
        file.write(start * 500_000)
    with pytest.raises(InputError, match="describes several models"):
        open_checkpoint(tmp_path / "m.h5")


def test_large_chunks_of_a_small_dataset_are_not_unpacked(tmp_path: Path) -> None:
    model, weights, _ = small()
    path = tmp_path / "m.h5"
    write_hdf5(path, model, weights)
    with h5py.File(path, "r+") as file:
        inside = file["model_weights/dense/dense"]
        del inside["bias:0"]
        inside.create_dataset(
            "bias:0", (12,), "f4", maxshape=(None,), chunks=(1_000_000,), compression="gzip"
        )
    with pytest.raises(InputError, match="in a way that is not read"):
        open_checkpoint(path)


def test_other_hdf5_files(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("layers")
    with pytest.raises(InputError, match=r"without its layers \(save_weights\)"):
        open_checkpoint(tmp_path / "w.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.ones(3)
    with pytest.raises(InputError, match="not a Keras model"):
        open_checkpoint(tmp_path / "x.h5")


def test_weights_stay_in_the_file_and_in_proportion(tmp_path: Path) -> None:
    model, weights, _ = small()
    path = tmp_path / "m.h5"
    write_hdf5(path, model, weights)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["k"] = np.ones((3, 3, 3, 8), np.float32)
    with h5py.File(path, "r+") as file:
        inside = file["model_weights/conv2d/conv2d"]
        del inside["kernel:0"]
        inside["kernel:0"] = h5py.ExternalLink("other.h5", "k")
    with pytest.raises(InputError, match="weights of its layer conv2d are missing"):
        open_checkpoint(path)
    with h5py.File(path, "r+") as file:
        inside = file["model_weights/conv2d/conv2d"]
        del inside["kernel:0"]
        inside.create_dataset("kernel:0", (100_000, 100_000), "f4", chunks=True, compression="gzip")
    with pytest.raises(InputError, match="in a way that is not read"):
        open_checkpoint(path)


def test_two_descriptions_are_refused(tmp_path: Path) -> None:
    model, weights, _ = small()
    write_hdf5(tmp_path / "m.h5", model, weights)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        model["config"]["name"] = "another"
        file.attrs["more"] = json.dumps(model)
    with pytest.raises(InputError, match="describes several models"):
        open_checkpoint(tmp_path / "m.h5")


@pytest.mark.parametrize("write", [write_hdf5, write_archive])
def test_flipped_bytes_and_cut_files_never_crash(
    write: Callable[..., None], tmp_path: Path
) -> None:
    model, weights, _ = small()
    write(tmp_path / "m", model, weights)
    data = (tmp_path / "m").read_bytes()
    rng, found = np.random.default_rng(0), []
    for number in range(30):
        changed = bytearray(data[: len(data) // 2] if number % 6 == 5 else data)
        for place in rng.integers(0, min(len(changed), 12_000), 4).tolist():
            changed[place] = int(rng.integers(256))
        (tmp_path / "m").write_bytes(changed)
        try:
            found.append(len(read_checkpoint(tmp_path / "m").value))
        except InputError as error:
            found.append(str(error).count("\n"))
    assert len(found) == 30
    assert 0 in found, "some were refused, in one line each"
