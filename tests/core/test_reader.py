"""Every container and wrapper is read to the same tensors that torch.load gives."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_files import weights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype, key
        assert found[key].shape == value.shape, key
        assert torch.equal(found[key], value.detach()), key


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_containers_and_protocols(tmp_path: Path, zipped: bool, protocol: int) -> None:
    path = tmp_path / "model.tar"  # the suffix says nothing
    torch.save(weights(), path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    file = read_checkpoint(path)
    assert file.container == ("torch zip" if zipped else "torch legacy")
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    same(find_state_dict(file).load(), weights())


def test_safetensors(tmp_path: Path) -> None:
    expected = {
        "a": torch.randn(3, 4),
        "b": torch.randn(5).bfloat16(),
        "c": torch.arange(3),
        "d": torch.randn(2).half(),
    }
    save_file(expected, tmp_path / "model.bin", metadata={"format": "pt"})
    file = read_checkpoint(tmp_path / "model.bin")
    assert file.container == "safetensors"
    same(find_state_dict(file).load(), expected)


def _backdoorbench() -> dict[str, Any]:
    return {
        "model_name": "preactresnet18",
        "num_classes": 10,
        "model": weights(),
        "data_path": "./data",
        "img_size": (32, 32, 3),
        "clean_data": "cifar10",
        "bd_train": {
            "bd_data_container": {"data_dict": {0: {"path": "1.png", "label": np.int64(3)}}},
            "original_index_array": np.arange(5),
            "poison_indicator": np.zeros(5, dtype=np.int32),
            "ratio": np.float64(0.1),
        },
        "bd_test": None,
    }


WRAPPERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "bare": (lambda: weights(), ()),
    "state_dict": (
        lambda: {"epoch": 3, "state_dict": weights(), "optimizer": {"state": {}}},
        ("state_dict",),
    ),
    "net": (lambda: {"net": weights(), "acc": 93.1, "epoch": 200}, ("net",)),
    "model_state_dict": (lambda: {"model_state_dict": weights()}, ("model_state_dict",)),
    "WaNet": (
        lambda: {
            "netC": weights(),
            "schedulerC": {"milestones": Counter([1])},
            "optimizerC": {"state": {0: {"momentum_buffer": torch.randn(9, 9)}}},
            "noise_grid": torch.randn(1, 4, 4, 2),
        },
        ("netC",),
    ),
    "Input-aware": (
        lambda: {
            "netC": weights(),
            "netG": {"w": torch.randn(99, 99)},
            "opt": argparse.Namespace(),
        },
        ("netC",),
    ),
    "BackdoorBench": (_backdoorbench, ("model",)),
    "nested": (lambda: {"result": {"inner": weights()}, "n": 1}, ("result", "inner")),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers(tmp_path: Path, name: str, zipped: bool) -> None:
    make, wrapper = WRAPPERS[name]
    torch.save(make(), tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    state = find_state_dict(read_checkpoint(tmp_path / "m.pt"))
    assert state.layout.wrapper == wrapper
    same(state.load(), weights())
    assert state.layout.dtypes["bfloat"] == "bfloat16"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.model."])
def test_prefixes(tmp_path: Path, prefix: str) -> None:
    torch.save({"net": {prefix + k: v for k, v in weights().items()}}, tmp_path / "m.pt")
    state = find_state_dict(read_checkpoint(tmp_path / "m.pt"))
    assert state.layout.prefix == prefix
    same(state.load(), weights())


def test_the_largest_of_unnamed_models_is_taken(tmp_path: Path) -> None:
    small = {"w": torch.randn(2, 2)}
    torch.save({"a": small, "b": weights(), "c": small}, tmp_path / "m.pt")
    assert find_state_dict(read_checkpoint(tmp_path / "m.pt")).layout.wrapper == ("b",)


def test_what_lies_beside_is_remembered(tmp_path: Path) -> None:
    torch.save({"epoch": 1, "net": weights(), "acc": 0.5}, tmp_path / "m.pt")
    assert find_state_dict(read_checkpoint(tmp_path / "m.pt")).layout.beside == ("epoch", "acc")


@pytest.mark.parametrize("value", [3, [1, 2], {"a": 1}, {"optimizer": {"w": torch.ones(2, 2)}}])
def test_no_weights(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "m.pt")
    with pytest.raises(InputError, match="holds no weights"):
        find_state_dict(read_checkpoint(tmp_path / "m.pt"))


dtypes = st.sampled_from(
    [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8]
)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Any shape, dtype and stride that a view can have."""
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    value = torch.arange(int(np.prod(shape))).to(draw(dtypes)).reshape(shape)
    if draw(st.booleans()):
        value = value.permute(*draw(st.permutations(range(len(shape)))))
    for dim in range(value.dim()):
        if value.shape[dim] and draw(st.booleans()):
            start = draw(st.integers(0, value.shape[dim] - 1))
            value = value.narrow(dim, start, draw(st.integers(0, value.shape[dim] - start)))
    return value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    found=st.dictionaries(st.text(min_size=1, max_size=8), tensors(), min_size=1, max_size=6),
    zipped=st.booleans(),
    protocol=st.integers(2, 5),
)
def test_any_state_dict_is_read_as_torch_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    found: dict[str, torch.Tensor],
    zipped: bool,
    protocol: int,
) -> None:
    path = tmp_path_factory.mktemp("any") / "m.pt"
    state = OrderedDict(found, matrix=torch.ones(2, 2))
    torch.save(state, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    value = read_checkpoint(path).value
    same({key: tensor.load() for key, tensor in value.items()}, dict(state))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(tmp_path / "none.pt")
    with pytest.raises(InputError, match="is a folder"):
        read_checkpoint(tmp_path)
