"""Files of ``torch.save``: their limits, and what is missing from them."""

from __future__ import annotations

import argparse
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from bounded import peak_at_most
from checkpoint_files import dumps, legacy, torch_zip

from bdshift.checkpoints import torch_files
from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.checkpoints.torch_files import read_block
from bdshift.errors import InputError
from bdshift.pickle_data import LEGACY_MAGIC, read_pickle

WEIGHTS = {"fc.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.ones(2)}


def saved(value: object, *, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def changed(data: bytes, **parts: bytes | None) -> bytes:
    """A zip with some of its parts replaced, added or, for None, left out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        top = old.namelist()[0].split("/")[0]
        content = {name.removeprefix(f"{top}/"): old.read(name) for name in old.namelist()}
        for name, part in {**content, **parts}.items():
            if part is not None:
                new.writestr(f"{top}/{name}", part)
    return stream.getvalue()


def names(path: Path, data: bytes) -> list[str]:
    path.write_bytes(data)
    return sorted(find_state_dict(read_checkpoint(path)).tensors)


def test_a_zip_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    data, path = saved(WEIGHTS), tmp_path / "model.pth"
    assert names(path, changed(data)) == sorted(WEIGHTS)
    for parts, words in (
        ({"byteorder": b"big"}, "big-endian"),
        ({"data/1": None}, r"\(1\) is missing or cut off"),
        ({"data/1": bytes(7)}, r"\(1\) is missing or cut off"),
    ):
        with pytest.raises(InputError, match=words):
            names(path, changed(data, **parts))


def test_an_older_file_says_where_it_is_cut(tmp_path: Path) -> None:
    data = saved({"fc.weight": torch.ones(2, 1)}, zipped=False)
    path = tmp_path / "model.pth"
    assert names(path, data) == ["fc.weight"]
    last = 8 + 2 * 4  # the number of its elements, and they
    for end in (len(data) - 1, len(data) - last + 8):
        with pytest.raises(InputError, match="past the end of the file"):
            names(path, data[:end])
    for end in (len(data) - last + 7, len(data) - last):
        with pytest.raises(InputError, match="a storage is missing"):
            names(path, data[:end])
    negative = data[:-last] + (-1).to_bytes(8, "little", signed=True) + data[-8:]
    with pytest.raises(InputError, match="past the end of the file"):
        names(path, negative)


def test_an_older_file_of_a_big_endian_machine(tmp_path: Path) -> None:
    data = saved(WEIGHTS, zipped=False)
    true, path = data.index(b"\x88", data.index(b"little_endian")), tmp_path / "model.pth"
    with pytest.raises(InputError, match="big-endian"):
        names(path, data[:true] + b"\x89" + data[true + 1 :])


def test_a_pickle_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = saved(WEIGHTS), tmp_path / "model.pth"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = len(archive.read(archive.namelist()[0].split("/")[0] + "/data.pkl"))
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", size)
    assert names(path, data) == sorted(WEIGHTS)
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", size - 1)
    with pytest.raises(InputError, match="its pickle is too large"):
        names(path, data)


def test_a_plain_pickle_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"a": 1}) + bytes(20))
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", path.stat().st_size)
    assert read_checkpoint(path).value == {"a": 1}
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", path.stat().st_size - 1)
    with pytest.raises(InputError, match="plain pickle, too large"):
        read_checkpoint(path)


def test_pickles_of_an_older_file_have_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pth"
    data = saved({"model": {"fc.weight": torch.ones(2, 1)}, "": 1}, zipped=False)
    end = len(data) - (8 + 2 * 4)  # the number of its elements, and they
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", end)
    assert names(path, data) == ["fc.weight"]
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", end - 1)
    with pytest.raises(InputError, match="damaged"):
        names(path, data)
    path.write_bytes(dumps(LEGACY_MAGIC) + b"V" + b"x" * end + b"\n.")
    with pytest.raises(InputError, match="no newline found"):  # none within the limit
        read_checkpoint(path)


def test_pickles_of_an_older_file_share_a_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, path = saved(WEIGHTS, zipped=False), tmp_path / "model.pth"
    stream = io.BytesIO(data)
    _, *counts = (read_pickle(stream).operations for _ in range(5))
    monkeypatch.setattr(torch_files, "MAX_OPERATIONS", sum(counts))
    assert names(path, data) == sorted(WEIGHTS)
    monkeypatch.setattr(torch_files, "MAX_OPERATIONS", sum(counts) - 1)
    with pytest.raises(InputError, match="too many operations"):
        names(path, data)


@pytest.mark.parametrize(
    ("keys", "words"), [({"0": 1}, "list of storages"), ([["0"]], "is not text")]
)
def test_an_older_file_without_the_keys_of_its_storages(
    keys: Any, words: str, tmp_path: Path
) -> None:
    (tmp_path / "model.pth").write_bytes(legacy(dumps({"a": 1}), keys, []))
    with pytest.raises(InputError, match=words):
        read_checkpoint(tmp_path / "model.pth")


def test_a_storage_in_a_pickle_has_all_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    data = pickle.dumps({"fc.weight": WEIGHTS["fc.weight"]}, 4)
    assert names(path, data) == ["fc.weight"]
    found = find_state_dict(read_checkpoint(path)).load()
    assert torch.equal(found["fc.weight"], WEIGHTS["fc.weight"])
    assert data.count(b"K\x06Nt") == 1  # the number of its elements in the file inside
    with pytest.raises(InputError, match="is cut off"):
        names(path, data.replace(b"K\x06Nt", b"K\x07Nt"))


def test_the_smallest_storages_may_not_be_missing(tmp_path: Path) -> None:
    for value in (torch.empty(0), torch.tensor([True])):
        data = changed(saved({"fc.weight": value}), **{"data/0": None})
        with pytest.raises(InputError, match="is missing or cut off"):
            names(tmp_path / "model.pth", data)


def test_no_more_is_read_than_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"0123456789")
    assert read_block(HashedFile(path), (2, 6), 1, 2) == b"34"
    assert read_block(HashedFile(path), (2, 6), 1, 9) == b"345"
    # The pickle lies behind a storage, and another follows.
    whole = torch_zip(path, dumps({"a": 1}), {"0": bytes(2**22)}).read_bytes()
    with zipfile.ZipFile(path, "w") as behind, zipfile.ZipFile(io.BytesIO(whole)) as archive:
        for name in ("data/0", "data.pkl", "data/0", "byteorder", "version"):
            part = archive.read(f"archive/{name}")
            behind.writestr(f"archive/{name}".replace("0", str(len(behind.namelist()))), part)
    with peak_at_most(2**22):
        assert read_checkpoint(path).value == {"a": 1}


def test_what_is_shared_stays_shared(tmp_path: Path) -> None:
    part = {"a": [1]}
    whole: dict[str, Any] = {"one": part, "two": part}
    whole["itself"] = whole
    (tmp_path / "model.pth").write_bytes(saved(whole))
    found: Any = read_checkpoint(tmp_path / "model.pth").value
    assert found["one"] is found["two"]
    assert found["itself"] is found


def test_a_module_is_its_weights(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 2))
    assert names(tmp_path / "model.pth", saved(network)) == ["0.bias", "0.weight"]


@pytest.mark.parametrize("zipped", [True, False])
def test_the_place_of_a_tensor_is_known(zipped: bool, tmp_path: Path) -> None:
    path, data = tmp_path / "model.pth", saved(WEIGHTS, zipped=zipped)
    path.write_bytes(data)
    found: Any = read_checkpoint(path).value
    for key, value in WEIGHTS.items():
        start, stride = found[key].place
        assert stride == value.stride()
        assert data[start:].startswith(value.numpy().tobytes())


def test_an_object_is_its_attributes(tmp_path: Path) -> None:
    value = argparse.Namespace(epoch=3, model=WEIGHTS)
    assert names(tmp_path / "model.pth", saved(value)) == sorted(WEIGHTS)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_values_are_followed_to_a_depth(zipped: bool, listed: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    for depth, kept in ((12, True), (13, False)):
        value: Any = [7]
        for _ in range(depth - 1):
            value = [value] if listed else {0: value}
        path.write_bytes(saved({0: value}, zipped=zipped))
        found: Any = read_checkpoint(path).value
        for _ in range(depth):
            assert isinstance(found, (list, dict))
            found = found[0]
        assert found == ([7] if kept else None)
