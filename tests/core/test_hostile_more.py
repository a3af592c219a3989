"""Hostile modules, exports, nested pickles and configs, read under the guard of `bounded`."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from bounded import calls_at_most, peak_at_most, read_apart
from checkpoint_files import Call, dumps, storage_id, torch_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bdshift.checkpoints.folder import read_beside
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.recognize import recognize
from bdshift.errors import InputError


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def _exported(path: Path, table: Any, data: bytes = bytes(64)) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        text = table if isinstance(table, str) else json.dumps(table)
        archive.writestr("m/data/weights/model_weights_config.json", text)
        archive.writestr("m/data/weights/weight_0", data)
        archive.writestr("m/models/model.json", "{}")
    return path


def _row(**changes: Any) -> dict[str, Any]:
    about = {"dtype": 7, "sizes": [{"as_int": 4}, {"as_int": 4}], "storage_offset": {"as_int": 0},
             "strides": [{"as_int": 4}, {"as_int": 1}]}  # fmt: skip
    row = {"path_name": "weight_0", "use_pickle": False, "tensor_meta": about}
    for key, value in changes.items():
        (about if key in about else row)[key] = value
    return {"config": {"w": row}}


def test_an_exported_program_as_it_should_be(tmp_path: Path) -> None:
    assert read_apart(_exported(tmp_path / "m.pt2", _row())) == [("read", "1")]


def test_exports_that_lie(tmp_path: Path) -> None:
    cases: dict[str, Any] = {
        "out of the archive": _row(path_name="../../../etc/passwd"),
        "a pickle inside": _row(use_pickle=True),
        "2^40 elements": _row(sizes=[{"as_int": 2**40}, {"as_int": 4}]),
        "2^40 by stride 0": _row(
            sizes=[{"as_int": 2**40}, {"as_int": 4}], strides=[{"as_int": 0}, {"as_int": 0}]
        ),
        "behind its bytes": _row(storage_offset={"as_int": 10}),
        "negative": _row(sizes=[{"as_int": -4}, {"as_int": 4}]),
        "no number": _row(sizes=[{"as_int": "4"}, {"as_int": 4}]),
        "another dtype": _row(dtype=99),
        "sizes and strides differ": _row(strides=[{"as_int": 1}]),
        "no table": {"config": [1, 2]},
        "no json": "{" * 10,
        "deep json": "[" * 200_000,
        "no config": {},
    }
    paths = [_exported(tmp_path / f"{i}.pt2", case) for i, case in enumerate(cases.values())]
    for name, (what, text) in zip(cases, read_apart(*paths), strict=True):
        assert what == "refused", (name, text)


def test_a_file_in_a_file(tmp_path: Path) -> None:
    """_load_from_bytes holds a storage, never code, never another file."""
    inner = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # storages are torch's own affair by now
        torch.save(torch.zeros(4).storage(), inner, _use_new_zipfile_serialization=False)
    nest = inner.getvalue()
    evil = dumps(Call("os", "system", "touch /tmp/pwned"))
    load = b"ctorch.storage\n_load_from_bytes\n"
    tensor = b"\x80\x02}" + _text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n("
    shape = b"K\x00(K\x02K\x02t(K\x02K\x01t\x89}tRs."

    def with_bytes(data: bytes) -> bytes:
        return tensor + load + b"B" + struct.pack("<I", len(data)) + data + b"\x85R" + shape

    cases = {
        "good": (with_bytes(nest), "read", "1"),
        "cut": (with_bytes(nest[:-8]), "refused", "cut off"),
        "code": (with_bytes(evil), "refused", "os.system"),
        "no storage": (with_bytes(dumps({"a": 1})), "refused", "damaged"),
        "text": (tensor + load + _text("abc") + b"\x85R" + shape, "refused", "damaged"),
        "in itself": (with_bytes(with_bytes(nest)), "refused", "damaged"),
    }
    paths = []
    for name, (data, _, _) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        paths.append(path)
    for (name, (_, what, words)), (got, text) in zip(
        cases.items(), read_apart(*paths), strict=True
    ):
        assert got == what, (name, text)
        assert words in text, (name, text)
    assert not Path("/tmp/pwned").exists()


def test_a_module_whose_parts_are_none(tmp_path: Path) -> None:
    """Objects that claim to be modules, with numbers, text and themselves for parts."""
    head = b"\x80\x02cnet\nNet\n)\x81q\x00}("
    weight = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage_id("0", 16)
    tensor = weight + b"K\x00(K\x04K\x04t(K\x04K\x01t\x89}tR"
    good = _text("_parameters") + b"}" + _text("weight") + tensor + b"s"
    modules, buffers = _text("_modules") + b"}", _text("_buffers")
    hidden = _text("_non_persistent_buffers_set")
    itself = _text("_parameters") + b"}" + _text("a") + b"h\x00s"
    cases = {
        "good": (good + modules, "read"),
        "children are a list": (good + _text("_modules") + b"]", "read"),  # then no module, a dict
        "children are numbers": (good + modules + b"K\x01K\x02s", "read"),
        "buffers are text": (good + modules + buffers + _text("x"), "read"),
        "parameters hold the module": (itself + modules, "refused"),
        "hidden by a list of itself": (good + modules + hidden + b"]h\x00a", "read"),
    }
    paths = [
        torch_zip(tmp_path / f"{i}.pt", head + body + b"ub.", {"0": bytes(64)})
        for i, (body, _) in enumerate(cases.values())
    ]
    for (name, (_, what)), (got, text) in zip(cases.items(), read_apart(*paths), strict=True):
        assert got == what, (name, text)


SHAPES = {"classifier.weight": (3, 8), "classifier.bias": (3,), "vit.x.weight": (8, 8)}
CONFIG: dict[str, Any] = {
    "architectures": ["ViTForImageClassification"], "model_type": "vit", "hidden_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 1,
}  # fmt: skip


def test_a_module_that_stands_in_many_places(tmp_path: Path) -> None:
    """A few kilobytes whose modules and names, written out, would be gigabytes."""

    def put(i: int) -> bytes:
        return b"r" + struct.pack("<I", i)

    def get(i: int) -> bytes:
        return b"j" + struct.pack("<I", i)

    def of(*items: bytes) -> bytes:
        return b"}(" + b"".join(items) + b"u"

    def module(tensors: bytes, children: bytes) -> bytes:
        return (
            b"cm\nN\n)\x81"
            + of(_text("_parameters") + tensors, _text("_modules") + children)
            + b"b"
        )

    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage_id("0", 4)
    tensor += b"K\x00K\x02K\x02\x86K\x02K\x01\x86\x89}tR" + put(1) + b"0"
    leaf = module(of(*(_text(f"p{i}") + get(1) for i in range(2000))), b"}") + put(2) + b"0"
    empty = module(of(*(_text(f"p{i}") + b"K\x01" for i in range(2000))), b"}") + put(2) + b"0"
    many = module(b"}", of(*(_text(f"m{i}") + get(2) for i in range(2000))))
    cases = {
        "tensors": (tensor + leaf + many, "nested too deeply"),
        "what is none": (empty + many, "nested too deeply"),
        "a long name": (
            tensor + module(of(_text("n" * 100_000) + get(1)), b"}") + put(2) + b"0" + many,
            "longer than any network's",
        ),
        "names": (
            b"".join(_text(f"{i:03}" + "n" * 200) + put(100 + i) + b"0" for i in range(200))
            + b"".join(
                get(100 + i) + get(100 + j) + b"\x930" for i in range(200) for j in range(150)
            )
            + b"}",
            "more than 20,000 classes",
        ),
    }
    paths = [
        torch_zip(tmp_path / f"{i}.pt", b"\x80\x02" + body + b".", {"0": bytes(16)})
        for i, (body, _) in enumerate(cases.values())
    ]
    found = read_apart(*paths, limit=2**27)
    for (name, (_, words)), (what, text) in zip(cases.items(), found, strict=True):
        assert what == "refused", name
        assert words in text, (name, text)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 10**6},
        {"hidden_size": 2**40},
        {"num_attention_heads": 0},
        {"patch_size": 0},
        {"auto_map": {"AutoModelForImageClassification": "evil--modeling.Net"}},
        {"model_type": "../../evil"},
        {"model_type": "no_such_model"},
        {"architectures": ["EvilForImageClassification"]},
        {"image_size": [[[]]]},
        {
            "_name_or_path": "http://example.com/x",
            "backbone": "evil/repo",
            "use_timm_backbone": True,
        },
    ],
)
def test_configs_that_ask_for_much(changes: dict[str, Any]) -> None:
    pytest.importorskip("transformers", reason="transformers is an extra")
    with pytest.raises(InputError):
        recognize(SHAPES, config=CONFIG)  # once without counting: what it needs is imported
    with calls_at_most(200_000), peak_at_most(2**21), pytest.raises(InputError):
        recognize(SHAPES, config=CONFIG | changes)


def test_configs_that_are_none(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    for text in ("", "[]", "{", "null", '{"id2label": 3, "pretrained_cfg": [1]}', "[" * 100_000):
        (tmp_path / "config.json").write_text(text)
        beside = read_beside(weights)
        assert (beside.mean, beside.names, beside.size) == ((), (), 0)
    told = {"pretrained_cfg": {"mean": [float("nan")] * 3, "std": [0, 0, 0], "input_size": [3, -1]}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    assert read_beside(weights).size == 0


SEED = io.BytesIO()
torch.save(
    torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Linear(2, 2)), SEED,
    _use_new_zipfile_serialization=False,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=6)), max_size=8))
def test_fuzzed_modules_raise_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(SEED.getvalue())
    for place, new in changes:
        start = place % len(data)
        data[start : start + len(new)] = new
    path = tmp_path_factory.getbasetemp() / "fuzzed.pt"
    path.write_bytes(data)
    with suppress(InputError):
        state = find_state_dict(read_checkpoint(path))
        state.load()
        recognize(state.shapes(), state.layers)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shapes=st.dictionaries(
        st.text("acfn.01234ceorvwihtgbs_", min_size=1, max_size=20).map(lambda t: f"{t}.weight"),
        st.lists(st.sampled_from([0, 1, 2, 3, 5, 10, 64, 784, 2**31]), max_size=4).map(tuple),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_fuzzed_shapes_raise_nothing_else(shapes: dict[str, tuple[int, ...]]) -> None:
    with calls_at_most(1_000_000), suppress(InputError):
        recognize(shapes)


def test_a_negated_view_is_not_read_without_its_sign(tmp_path: Path) -> None:
    negated = torch.complex(torch.zeros(4), torch.ones(4)).conj().imag
    torch.save({"fc.weight": torch.ones(4, 4), "fc.bias": negated}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="negated or conjugated"):
        read_checkpoint(tmp_path / "m.pt")


def test_no_tensor_vanishes(tmp_path: Path) -> None:
    noted = torch.ones(4)
    noted.note = 1  # type: ignore[attr-defined]
    torch.save({"fc.weight": torch.ones(4, 4), "fc.bias": noted}, tmp_path / "m.pt")
    assert set(find_state_dict(read_checkpoint(tmp_path / "m.pt")).tensors) == {
        "fc.weight",
        "fc.bias",
    }
    state = {"a.weight": torch.ones(4, 4), "fc.weight": torch.ones(4, 4)}
    torch.save(state | {"fc.bias": torch.ones(4).to_sparse()}, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"its fc\.bias is a tensor of a kind that is not read"):
        find_state_dict(read_checkpoint(tmp_path / "m.pt"))


def test_a_module_cannot_hide_its_layers(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
    network._non_persistent_buffers_set.add("0")
    network[2]._non_persistent_buffers_set.add("bias")
    for protocol in (2, 4):
        torch.save(network, tmp_path / "m.pt", pickle_protocol=protocol)
        found = find_state_dict(read_checkpoint(tmp_path / "m.pt"))
        assert set(found.tensors) == {"0.weight", "0.bias", "2.weight", "2.bias"}


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["TimmWrapperForImageClassification"], "model_type": "timm_wrapper",
         "architecture": "hf_hub:evil/repo"},
        {"attn_implementation": "evil/kernel"},
        {"_attn_implementation": "paged|evil/kernel:fn"},
        {"num_hidden_layers": 3.0},
        {"hidden_act": 5},
    ],
)  # fmt: skip
def test_a_config_reaches_no_network(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers", reason="transformers is an extra")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(InputError) as caught:
        recognize(SHAPES, config=CONFIG | changes)
    assert "socket" not in str(caught.value)
