"""Files that hold weights in another way, and files that hold none: what is read, what is said."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bounded import read_apart, refused
from checkpoint_files import weights
from safetensors.torch import save_file
from torch import nn

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.export import EXPORT_FORMS, write_checkpoint
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError, UnknownArchitecture
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.kinds import kind_of

ARRAYS: dict[str, Any] = {
    "f": np.arange(6, dtype=np.float32).reshape(2, 3),
    "by_columns": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "big_endian": np.arange(6, dtype=">f4").reshape(2, 3),
    "half": np.arange(4, dtype=np.float16),
    "count": np.array(7),
}


@pytest.mark.parametrize("how", ["torch", "torch legacy", "pickle 2", "pickle 4", "pickle 5"])
def test_numpy_arrays_are_weights(how: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    if how.startswith("torch"):
        torch.save({"model": ARRAYS}, path, _use_new_zipfile_serialization=how == "torch")
    else:
        path.write_bytes(pickle.dumps({"model": ARRAYS}, protocol=int(how[-1])))
    state = find_state_dict(read_checkpoint(path))
    assert state.layout.wrapper == ("model",)
    assert list(state.tensors) == list(ARRAYS)
    for key, tensor in state.load().items():
        assert np.array_equal(tensor.numpy(), ARRAYS[key]), key
        assert str(tensor.dtype) == f"torch.{state.layout.dtypes[key]}"


def test_numpy_arrays_are_written_as_they_came(victim: Path, tmp_path: Path) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    torch.save({key: value.numpy() for key, value in state.items()}, tmp_path / "m.pth")
    opened = open_checkpoint(tmp_path / "m.pth")
    loaded = opened.load(opened.candidates[0])
    classifier = loaded.with_preprocessing(Preprocessing(32, NORMALIZATIONS["none"]))
    write_checkpoint(classifier, tmp_path / "out.pth", EXPORT_FORMS.parse("original"))
    written = torch.load(tmp_path / "out.pth", weights_only=False)
    assert all(isinstance(value, np.ndarray) for value in written.values())
    assert np.array_equal(written["fc.weight"], state["fc.weight"].numpy())


def test_a_numpy_array_that_is_cut_off(tmp_path: Path) -> None:
    data = pickle.dumps({"w": np.ones((4, 4), np.float32)}, protocol=4)
    whole = np.ones((4, 4), np.float32).tobytes()
    (tmp_path / "m.pkl").write_bytes(data.replace(b"K\x04K\x04\x86", b"K\x04K\x05\x86"))
    assert whole in data
    refused(tmp_path / "m.pkl", "a NumPy array is cut off")


@pytest.mark.filterwarnings("ignore")  # torch will drop these tensors; files keep them
def test_quantized_weights_are_the_numbers_they_stand_for(tmp_path: Path) -> None:
    given = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    scales, zeros = torch.tensor([0.01, 0.02, 0.03, 0.04]), torch.tensor([0, 1, 2, 3])
    parts = {
        "by_tensor": torch.quantize_per_tensor(given, 0.02, 3, torch.qint8),
        "by_channel": torch.quantize_per_channel(given, scales, zeros, 0, torch.qint8),
        "turned": torch.quantize_per_tensor(given, 0.02, 3, torch.quint8).t(),
    }
    torch.save(parts, tmp_path / "m.pt")
    file = read_checkpoint(tmp_path / "m.pt")
    for key, tensor in find_state_dict(file).load().items():
        assert torch.allclose(tensor, parts[key].dequantize(), rtol=1e-6), key


@pytest.mark.filterwarnings("ignore")
def test_dynamically_quantized_layers_have_a_weight_and_a_bias(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    int8 = torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)
    torch.save(int8.state_dict(), tmp_path / "m.pt")
    found = find_state_dict(read_checkpoint(tmp_path / "m.pt")).load()
    assert list(found) == ["1.weight", "1.bias", "3.weight", "3.bias"]
    assert torch.equal(found["1.bias"], network.state_dict()["1.bias"])
    assert (found["1.weight"] - network.state_dict()["1.weight"]).abs().max() < 0.01


VALUES: dict[str, Any] = {
    "but the state of an optimizer": {"state": {0: torch.ones(2, 2)}, "param_groups": [{}]},
    "the state of an optimizer; the": {"optimizer": {"state": {}, "param_groups": []}},
    "a list of tensors": [torch.ones(2, 2)],
    "a single tensor": torch.ones(2, 2),
    r"\(no dict of named tensors\), but epoch, acc": {"epoch": 3, "acc": 0.5, "model": None},
}


@pytest.mark.parametrize("words", VALUES)
def test_what_holds_no_weights_says_what_it_holds(words: str, tmp_path: Path) -> None:
    torch.save(VALUES[words], tmp_path / "m.pt")
    with pytest.raises(
        InputError, match=f"holds no weights .*{words}|holds no weights but {words}"
    ):
        open_checkpoint(tmp_path / "m.pt")


@pytest.mark.filterwarnings("ignore")  # of TorchScript in favor of torch.export
def test_a_frozen_program_says_that_it_is_one(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    torch.jit.freeze(torch.jit.script(network)).save(str(tmp_path / "m.pt"))
    with pytest.raises(InputError, match=r"frozen TorchScript.*before torch\.jit\.freeze"):
        open_checkpoint(tmp_path / "m.pt")


NETWORKS = {
    "base_model.model.vit.layer.0.query.lora_A.weight": "adapter .LoRA.*merge_and_unload",
    "conv1.zero_point": "quantized network",
    "bn1._variance": "PaddlePaddle",
    "rpn.head.conv.weight": "object detector",
    "model.22.dfl.conv.weight": "object detector",
    "decode_head.conv_seg.weight": "segmentation network",
    "model.embed_tokens.weight": "language model",
}


@pytest.mark.parametrize("key", NETWORKS)
def test_other_kinds_of_networks_are_named(key: str, tmp_path: Path) -> None:
    torch.save({key: torch.ones(5, 5), **weights()}, tmp_path / "m.pt")
    with pytest.raises(InputError, match=NETWORKS[key]) as error:
        open_checkpoint(tmp_path / "m.pt")
    assert not isinstance(error.value, UnknownArchitecture), "a class of their own would not help"


FILES = {
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    "git-annex pointer": b"/annex/objects/SHA256E-s9--00.pth\n",
    "DVC pointer": b"outs:\n- md5: 00\n  size: 9\n  path: model.pth\n",
    "web page": b"<!DOCTYPE html><html>Sign in</html>",
    "is text, not a checkpoint .'Entry not found'": b"Entry not found",
    "the index of weights": b'{"metadata": {}, "weight_map": {"a": "model-00001.safetensors"}}',
    "graph of an OpenVINO model": b'<?xml version="1.0"?>\n<net name="m" version="11">',
    "bzip2-compressed": b"BZh91AY&SY" + b"\1" * 50,
    "joblib": b"\x78\x9c" + b"\1" * 50,
    "TensorFlow Lite": b"\x1c\0\0\0TFL3" + b"\0" * 50,
    "ExecuTorch": b"\x30\0\0\0ET12" + b"\0" * 50,
    "GGUF": b"GGUF\3\0\0\0" + b"\0" * 50,
    "MXNet": b"\x12\1\0\0\0\0\0\0\0\0\0\0",
    "Darknet": b"\0\0\0\0\2\0\0\0\5\0\0\0\0\x7d\0\0" + b"\1" * 50,
    "Flax": b"\x82\xa6params\x81\xa5Dense",
    "Core ML": b"\x08\x04\x12\x10\x0a\x05image\x12\x07",
    "nothing but zeros": bytes(5000),
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
    "what macOS keeps": b"\0\5\x16\7\0\2\0\0Mac OS X",
    "is empty": b"",
}


@pytest.mark.parametrize("words", FILES)
def test_other_files_are_named_by_their_bytes(words: str, tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(FILES[words])
    with pytest.raises(InputError, match=words):
        read_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("adapter_config.json", "holds an adapter"),
        ("saved_model.pb", "TensorFlow SavedModel"),
        ("flax_model.msgpack", "Flax model"),
        ("data.pkl", "was unpacked"),
        (".metadata", "dcp_to_torch_save"),
        ("best.pth", "is a folder; give the checkpoint file in it: best.pth"),
    ],
)
def test_folders_are_named_by_what_is_in_them(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(json.dumps({}))
    with pytest.raises(InputError, match=words):
        read_checkpoint(tmp_path)


def test_a_zip_around_a_checkpoint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run/best.pth", b"weights")
    with pytest.raises(InputError, match=r"unpack it and give the checkpoint inside, run/best"):
        read_checkpoint(tmp_path / "m.zip")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_of_odd_values_never_crash(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    quantized = torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 2, torch.qint8)
    torch.save({"a": np.ones((3, 3), np.float32), "q": quantized}, tmp_path / "m.pt")
    data = bytearray((tmp_path / "m.pt").read_bytes())
    paths = []
    for number in range(25):
        changed = bytearray(data)
        for place in rng.integers(60, 900, 3).tolist():
            changed[place] = int(rng.integers(256))
        paths.append(tmp_path / f"{number}.pt")
        paths[-1].write_bytes(changed)
    assert {what for what, _ in read_apart(*paths)} <= {"refused", "read"}


def _split(folder: Path, state: dict[str, torch.Tensor], *, safe: bool) -> None:
    """As transformers writes a large model."""
    end = "safetensors" if safe else "bin"
    whole = "model" if safe else "pytorch_model"
    places: dict[str, str] = {}
    for number in (1, 2):
        name = f"{whole}-{number:05}-of-00002.{end}"
        part = {key: state[key].contiguous() for key in list(state)[number - 1 :: 2]}
        (save_file if safe else torch.save)(part, folder / name)
        places |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / f"{whole}.{end}.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "torch"])
def test_weights_that_are_split_over_files(victim: Path, safe: bool, tmp_path: Path) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    _split(tmp_path, state, safe=safe)
    opened = open_checkpoint(tmp_path)
    assert opened.file.path.name.endswith(".index.json")
    assert opened.file.container == ("safetensors" if safe else "torch zip")
    assert open_checkpoint(opened.file.path).file.sha256 == opened.file.sha256
    found = opened.state.load()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert kind_of(tmp_path) == "model"


def test_an_index_names_nothing_outside_of_its_folder(victim: Path, tmp_path: Path) -> None:
    state = torch.load(victim, weights_only=True)["state_dict"]
    _split(tmp_path, state, safe=True)
    index = tmp_path / "model.safetensors.index.json"
    told = index.read_text()
    for name in ("../m.safetensors", "/etc/passwd", "a\\\\b", ""):
        index.write_text(told.replace("model-00001-of-00002.safetensors", name))
        with pytest.raises(InputError, match="is a broken index"):
            open_checkpoint(tmp_path)
    index.write_text(told.replace("00001-of", "00003-of"))
    with pytest.raises(InputError, match=r"00003-of-00002\.safetensors.* is missing"):
        open_checkpoint(tmp_path)
    index.write_text(told.replace("00001-of", "00002-of"))
    with pytest.raises(InputError, match=r"its tensor .* is not in model-00002"):
        open_checkpoint(tmp_path)


def test_a_folder_that_names_its_network(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm is an extra")
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=4).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    config = {
        "architecture": "resnet18", "num_classes": 4, "label_names": list("abcd"),
        "pretrained_cfg": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.2],
                           "input_size": [3, 96, 96]},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    opened = open_checkpoint(tmp_path)
    assert [one.name for one in opened.candidates] == ["resnet18 (timm)"]
    assert 96 in opened.candidates[0].sizes
    assert [one.mean for one in opened.declared] == [(0.4, 0.5, 0.6)]
    assert opened.class_names == tuple("abcd")
    for name in ("resnet50", "no_such_network", "hf_hub:someone/else"):  # it is not believed
        (tmp_path / "config.json").write_text(json.dumps(config | {"architecture": name}))
        assert "ResNet-18, ImageNet stem" in {c.name for c in open_checkpoint(tmp_path).candidates}
