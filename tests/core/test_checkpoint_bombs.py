"""Small checkpoints that ask for gigabytes or minutes by naming the same bytes again and again; and
large honest ones, which the limits leave alone. Each is read in a process with a limit of memory
and processor time.
"""

from __future__ import annotations

import io
import pickle
import struct
import warnings
from pathlib import Path

import pytest
import torch
from bounded import peak_at_most, read_apart, refused
from checkpoint_files import dumps, legacy, storage_id, torch_zip

from bdshift.checkpoints.chain.row import read_row
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError, SeveralModels
from bdshift.pickle_data import LEGACY_MAGIC, read_pickle

PROTO = b"\x80\x03"
LOAD = b"ctorch.storage\n_load_from_bytes\nq\x01"


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _bytes(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def _storage(data: bytes, before: bytes = b"") -> bytes:
    """A storage as a file in a pickle; ``before`` are opcodes that leave nothing."""
    about = [dumps(part) for part in (LEGACY_MAGIC, 1001, {"little_endian": True})]
    reference = b"\x80\x02" + before + storage_id("0", len(data) // 4)[:-2] + b"NtQ."
    return b"".join((*about, reference, dumps(["0"]), struct.pack("<q", len(data) // 4), data))


def _loaded(inner: bytes, times: int) -> bytes:
    """A pickle that loads one file inside it ``times`` times."""
    return PROTO + LOAD + b"0" + _bytes(inner) + b"\x85q\x020](" + b"h\x01h\x02R" * times + b"e."


def test_files_in_a_pickle_share_its_budget(tmp_path: Path) -> None:
    cases = {
        "bytes of a storage": _loaded(_storage(bytes(1_000_000)), 100_000),
        "bytes beside a storage": _loaded(
            _storage(bytes(16), _bytes(bytes(1_000_000)) + b"0"), 100_000
        ),
        "operations": _loaded(_storage(bytes(16), b"N0" * 480), 600_000),
        "operations, behind a long text": (
            PROTO + _text("a" * 5_000_000) + b"0"
            + _loaded(_storage(bytes(16), b"N0" * 480), 600_000)[2:]
        ),
        "in the older container": _loaded(_storage(bytes(1_000_000)), 100_000),
    }  # fmt: skip
    paths = []
    for number, (name, data) in enumerate(cases.items()):
        paths.append(tmp_path / f"{number}.pth")
        if "older" in name:
            paths[-1].write_bytes(legacy(data, [], []))
        else:
            torch_zip(paths[-1], data)
    for name, (what, text) in zip(cases, read_apart(*paths), strict=True):
        assert what == "refused", name
        assert "again and again" in text or "too many operations" in text, (name, text)


def test_a_call_within_a_call_copies_nothing(tmp_path: Path) -> None:
    pairs = b"](" + b"NN\x86" * 100_000 + b"eq\x02"
    data = (
        PROTO + b"ctorch._tensor\n_rebuild_from_type_v2\nq\x030ccollections\nOrderedDict\nq\x040"
        + pairs + b"\x85q\x050"
        + b"](" + b"h\x03(h\x04Nh\x05NtR" * 100_000 + b"e."
    )  # fmt: skip
    refused(torch_zip(tmp_path / "m.pth", data), "no weights")


def test_what_a_pickle_says_is_not_said_back_at_length(tmp_path: Path) -> None:
    refused(torch_zip(tmp_path / "m.pth", PROTO + b"F" + b"x" * 1_000_000 + b"\n."), "not a pickle")
    [(_, text)] = read_apart(tmp_path / "m.pth")
    assert len(text) < 1000


def _models(count: int, key: str, *around: str) -> bytes:
    """``count`` models of one tensor, under one key for all, under several, or none."""
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage_id("0", 4)
    tensor += b"K\x00(K\x02K\x02t(K\x02K\x01t\x89}tRq\x020"
    models = b"".join(_text(f"{key}{i}") + b"}" + _text("x") + b"h\x02s" for i in range(count))
    opened = b"".join(_text(name) + b"}(" for name in around)
    return PROTO + tensor + b"}(" + opened + models + b"u" * (1 + len(around)) + b"."


def test_a_length_reserves_no_more_than_the_file_has(tmp_path: Path) -> None:
    """Found by fuzzing: a claim of 200 MiB in the older container was 200 MiB of memory."""
    for number, claim in enumerate(
        (b"B" + struct.pack("<I", 200 << 20), b"\x8e" + bytes(7) + b"\x7f")
    ):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(dumps(LEGACY_MAGIC) + b"\x80\x04" + claim + b"short")
        with peak_at_most(2**22), pytest.raises(InputError, match="damaged"):
            read_checkpoint(path)


def test_names_of_many_models(tmp_path: Path) -> None:
    cases = {
        "a long name around many": (_models(40_000, "", "K" * 1_000_000), "1,000,000 characters"),
        "long names in long names": (
            _models(100_000, "", *("abc"[i] * 500 for i in range(3))),
            "more than 10,000 models",
        ),
    }
    paths = [
        torch_zip(tmp_path / f"{number}.pth", data, {"0": bytes(16)})
        for number, (data, _) in enumerate(cases.values())
    ]
    found = read_apart(*paths, limit=2**28)
    for (name, (_, words)), (what, text) in zip(cases.items(), found, strict=True):
        assert what == "refused", name
        assert words in text, (name, text[-200:])
    several = torch_zip(tmp_path / "several.pth", _models(5000, "b" * 400), {"0": bytes(16)})
    with pytest.raises(SeveralModels, match="and 4,988 more") as caught:
        find_state_dict(read_checkpoint(several))
    assert len(str(caught.value)) < 10_000
    assert len(caught.value.names) == 5000


def test_numbers_in_the_names_of_layers() -> None:
    """A search for the last one took 52 seconds for 300 KB of such names."""
    long = "1" * 480 + "a"
    shapes: dict[str, tuple[int, ...]] = {
        "0.weight": (8, 3, 1, 1), f"{long}.weight": (8, 8, 1, 1), "9.weight": (8, 8)
    }  # fmt: skip
    letters = str.maketrans("0123456789", "abcdefghij")
    for i in range(300):
        shapes[f"{long}{str(i).translate(letters)}.weight"] = (9,)
        shapes[f"{long}{str(i).translate(letters)}.bias"] = (9,)
    assert read_row(shapes) is None


def test_large_honest_checkpoints_are_read(tmp_path: Path) -> None:
    """As many tensors as a ResNet-1202 with both of Adam's moments; a plain pickle of a thousand
    storages; a hundred models in a file; 300 MB of weights.
    """
    tied = torch.zeros(2, 2)
    names = [f"layer{i % 3}.{i}.conv{j}.weight" for i in range(1200) for j in range(6)]
    state = {name: tied.clone() for name in names}
    optimizer = {i: {"exp_avg": tied.clone(), "exp_avg_sq": tied.clone()} for i in range(7200)}
    torch.save({"state_dict": state, "optimizer": {"state": optimizer}}, tmp_path / "deep.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how torch pickles storages is its own affair
        stream = io.BytesIO()
        pickle.dump({f"w{i}": torch.full((40, 40), float(i)) for i in range(1000)}, stream, 2)
    (tmp_path / "plain.pkl").write_bytes(stream.getvalue())
    assert len(read_pickle(io.BytesIO(stream.getvalue())).nested) == 1000
    clients = {f"client{i}": {"fc.weight": tied.clone()} for i in range(100)}
    torch.save({**clients, "model": {"fc.weight": tied.clone()}}, tmp_path / "clients.pth")
    torch.save({"w": torch.zeros(300, 2**18)}, tmp_path / "large.pth")
    paths = [tmp_path / name for name in ("deep.pth", "plain.pkl", "clients.pth", "large.pth")]
    assert read_apart(*paths) == [("read", "7200"), ("read", "1000"), ("read", "1"), ("read", "1")]


def test_a_quantized_tensor_of_many_dimensions(tmp_path: Path) -> None:
    sizes = b"(" + b"\x8a\x08" + struct.pack("<q", 2**62) + b"q\x05" + b"h\x05" * 400_000 + b"t"
    how = b"(ctorch\nper_tensor_affine\nG" + struct.pack(">d", 1.0) + b"K\x00t"
    rebuild = b"ctorch._utils\n_rebuild_qtensor\n"
    tensor = rebuild + b"(" + storage_id("0", 4) + b"K\x00" + sizes + b"q\x06h\x06" + how + b"tR"
    value = b"\x80\x02}" + _text("fc.weight") + tensor + b"s."
    torch_zip(tmp_path / "a.pt", value, {"0": bytes(16)})
    refused(tmp_path / "a.pt", "holds a quantized tensor of a kind that is not read")
