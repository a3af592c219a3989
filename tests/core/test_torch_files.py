"""Files of ``torch.save``: their limits, and what is missing from them."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from bdshift.checkpoints import torch_files
from bdshift.checkpoints.layout import find_state_dict
from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError

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
    monkeypatch.setattr(torch_files, "MAX_PICKLE_BYTES", path.stat().st_size - 1)
    with pytest.raises(InputError, match="plain pickle, too large"):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_values_are_followed_to_a_depth(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    for depth, kept in ((12, True), (13, False)):
        value: object = [7]
        for _ in range(depth - 1):
            value = {"a": value}
        path.write_bytes(saved({"a": value}, zipped=zipped))
        found = read_checkpoint(path).value
        for _ in range(depth):
            assert isinstance(found, dict)
            found = found["a"]
        assert found == ([7] if kept else None)
