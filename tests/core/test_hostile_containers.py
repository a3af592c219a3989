"""Hostile and broken containers, read under the guard of `bounded`: tensors that reach outside, zip
bombs, ambiguous zips, files that are cut off, changed, or no checkpoints at all.
"""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bounded import read_apart, refused
from checkpoint_files import Call, dumps, legacy, storage_id, tensor_pickle, torch_zip, weights

from bdshift.checkpoints.reader import read_checkpoint
from bdshift.errors import InputError


def test_tensors_stay_inside_their_storage(tmp_path: Path) -> None:
    sixteen = bytes(64)  # sixteen floats
    float16 = storage_id("0", 16)
    cases = {
        "2^40 elements": tensor_pickle(float16, 0, (2**40,), (1,)),
        "2^40 by stride 0": tensor_pickle(float16, 0, (2**40,), (0,)),
        "offset outside": tensor_pickle(float16, 2**40, (1,), (1,)),
        "stride outside": tensor_pickle(float16, 0, (4, 4), (100, 1)),
        "shape and stride differ": tensor_pickle(float16, 0, (4, 4), (1,)),
        "storage missing": tensor_pickle(storage_id("7", 16), 0, (4,), (1,)),
        "storage claims more": tensor_pickle(storage_id("0", 2**40), 0, (2**20, 2**20), (2**20, 1)),
        "unknown storage": tensor_pickle(storage_id("0", 16, "EvilStorage"), 0, (4,), (1,)),
        "negative size": tensor_pickle(float16, 0, (-4,), (1,)),
    }
    paths = []
    for number, data in enumerate(cases.values()):
        paths.append(torch_zip(tmp_path / f"{number}.pt", data, {"0": sixteen}))
        old = tmp_path / f"{number}.old"
        old.write_bytes(legacy(data, ["0"], [(16, sixteen)]))
        paths.append(old)
    for number, (what, text) in enumerate(read_apart(*paths)):
        assert what == "refused", (list(cases)[number // 2], text)


def test_many_views_of_one_storage_do_not_multiply(tmp_path: Path) -> None:
    views = {f"k{i}": 0 for i in range(2000)}
    base = torch.zeros(1000, 10)
    torch.save(dict.fromkeys(views, base), tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "claim more numbers")


def _rezip(path: Path, change: Callable[[zipfile.ZipFile, zipfile.ZipFile], None]) -> Path:
    source = path.with_suffix(".source")
    torch.save(weights(), source)
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w") as after:
        change(before, after)
    return path


def test_zip_bombs_and_other_zips(tmp_path: Path) -> None:
    def bomb(before: zipfile.ZipFile, after: zipfile.ZipFile) -> None:
        for name in before.namelist():
            data = before.read(name)
            big = name.endswith("data/0")
            kind = zipfile.ZIP_DEFLATED if big else zipfile.ZIP_STORED
            after.writestr(name, bytes(2**28) if big else data, kind)

    def twice(before: zipfile.ZipFile, after: zipfile.ZipFile) -> None:
        for name in before.namelist():
            after.writestr(name, before.read(name))
        with pytest.warns(UserWarning, match="Duplicate name"):
            after.writestr(before.namelist()[0], dumps(Call("os", "system", "id")))

    refused(_rezip(tmp_path / "bomb.pt", bomb), "compressed")
    refused(_rezip(tmp_path / "twice.pt", twice), "twice")
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "plain.zip", "zip archive, but not a torch checkpoint")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"net/{name}", b"\x80\x02}.")
    refused(tmp_path / "script.pt", "no weights")


def test_ambiguous_zips(tmp_path: Path) -> None:
    good = tmp_path / "good.pt"
    torch.save(weights(), good)
    data = good.read_bytes()
    variants = {
        "prefix": b"MZ" + data,
        "comment": data[:-2] + b"\x05\x00hello",
        "appended": data + b"\0" * 40,
        "second zip behind": data + data,
        "directory offset": data[:-6] + struct.pack("<L", 5) + data[-2:],
    }
    local = bytearray(data)
    local[30:34] = b"evil"  # the local header's name differs from the directory's
    variants["local name"] = bytes(local)
    method = bytearray(data)
    method[8:10] = b"\x08\x00"
    variants["local method"] = bytes(method)
    paths = []
    for number, value in enumerate(variants.values()):
        path = tmp_path / f"v{number}.pt"
        path.write_bytes(value)
        paths.append(path)
    for name, (what, text) in zip(variants, read_apart(*paths), strict=True):
        assert what == "refused", (name, text)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_cut_off_anywhere(tmp_path: Path, zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save(weights(), buffer, _use_new_zipfile_serialization=zipped)
    data = buffer.getvalue()
    rng = random.Random(0)
    paths = []
    for number in range(60):
        path = tmp_path / f"{number}.pt"
        path.write_bytes(data[: rng.randrange(1, len(data))])
        paths.append(path)
    assert {what for what, _ in read_apart(*paths)} == {"refused"}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_flipped_bytes_never_crash(tmp_path: Path, zipped: bool) -> None:
    buffer = io.BytesIO()
    torch.save({"net": weights(), "epoch": 3}, buffer, _use_new_zipfile_serialization=zipped)
    rng = random.Random(1)
    paths = []
    for number in range(150):
        data = bytearray(buffer.getvalue())
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = tmp_path / f"{number}.pt"
        path.write_bytes(data)
        paths.append(path)
    outcomes = read_apart(*paths)
    assert {what for what, _ in outcomes} <= {"read", "refused"}
    assert any(what == "refused" for what, _ in outcomes)


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    cases = {
        "empty": (b"", "is empty"),
        "html": (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        "gzip": (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        "random": (random.Random(2).randbytes(5000), "no checkpoint"),
        "text": (b"hello\nworld\n", "is text"),
        "plain pickle": (pickle.dumps({"a": 1}), "no weights"),
        "safetensors cut": (struct.pack("<Q", 5000) + b'{"a":' + bytes(6000), "safetensors"),
        "safetensors lies": (
            struct.pack("<Q", 68)
            + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}  '
            + bytes(4),
            "safetensors",
        ),
        "safetensors huge header": (struct.pack("<Q", 2**40) + b"{" + bytes(50), "no checkpoint"),
    }
    paths = []
    for name, (data, _) in cases.items():
        path = tmp_path / name.replace(" ", "_")
        path.write_bytes(data)
        paths.append(path)
    for (name, (_, words)), (what, text) in zip(cases.items(), read_apart(*paths), strict=True):
        assert what == "refused", name
        assert words in text, (name, text)


def test_reading_needs_no_more_memory_than_the_weights(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(64, 2**18)}, tmp_path / "large.pt")  # 64 MiB
    assert os.path.getsize(tmp_path / "large.pt") > 2**26
    [(what, text)] = read_apart(tmp_path / "large.pt", limit=2**25)
    assert what == "read", text


def test_safetensors_whose_table_can_be_read_in_two_ways(tmp_path: Path) -> None:
    row = '"{}":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}}'
    tables = {
        "twice": (row.format("a", 0, 8) + "," + row.format("a", 8, 16), 16),
        "overlap": (row.format("a", 0, 8) + "," + row.format("b", 4, 12), 12),
        "gaps": (row.format("a", 0, 8) + "," + row.format("b", 12, 20), 20),
        "not as long": (row.format("a", 0, 8), 12),
        "does not fit": (row.format("a", 0, 4), 4),
        "valid number": (row.format("a", -8, 0), 0),
    }
    for words, (table, length) in tables.items():
        head = ("{" + table + "}").encode()
        path = tmp_path / "model.safetensors"
        path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(length))
        with pytest.raises(InputError, match=f"damaged safetensors file .*{words}"):
            read_checkpoint(path)
