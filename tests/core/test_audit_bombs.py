"""Audit files and JSON of a few megabytes that ask for gigabytes."""

from __future__ import annotations

import json
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from audit_files import OLD_AUDITS
from bounded import calls_at_most, peak_at_most, refused

from bdshift.errors import InputError
from bdshift.json_data import parse_json
from bdshift.store import load_audit

MIB = 2**20


def _text(file: h5py.File) -> bytes:
    return bytes(file["audit.json"][()].tobytes())


def _put(file: h5py.File, text: bytes, **options: object) -> None:
    del file["audit.json"]
    file.create_dataset("audit.json", data=np.frombuffer(text, np.uint8), **options)


def _packed_description(file: h5py.File) -> None:
    text = _text(file)[:-1] + b', "more": [' + b"{}," * 10_000_000 + b"{}]}"
    _put(file, text, compression="lzf", chunks=(MIB,))


def _many_values(file: h5py.File) -> None:
    _put(file, _text(file)[:-1] + b', "more": [' + b"{}," * 11_000_000 + b"{}]}")


def _large_chunk(file: h5py.File) -> None:
    values = file["model/bias"][()]
    del file["model/bias"]
    made = file.create_dataset(
        "model/bias", values.shape, "f8", chunks=(2**22,), maxshape=(None,), compression="lzf"
    )
    made[:] = values


def _filter(file: h5py.File) -> None:
    values = file["model/bias"][()]
    del file["model/bias"]
    file.create_dataset("model/bias", data=values, chunks=values.shape, fletcher32=True)


def _long_names(file: h5py.File) -> None:
    group = file
    for _ in range(40):
        group = group.create_group("n" * 10_000)
    group["x"] = np.zeros(1)


def _many_links(file: h5py.File) -> None:
    group = file.create_group("more")
    for number in range(300):
        group[f"{number}"] = h5py.SoftLink("/nowhere")


BOMBS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "a packed description": (_packed_description, "not text, or compressed"),
    "a description of many values": (_many_values, "holds more than 10,000,000 values"),
    "a chunk larger than its dataset": (_large_chunk, "kept in another way"),
    "another filter": (_filter, "kept in another way"),
    "long names in long names": (_long_names, "longer, or nested deeper"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_audits_that_ask_for_much(tmp_path: Path, name: str) -> None:
    change, words = BOMBS[name]
    path = tmp_path / "a.h5"
    shutil.copy(OLD_AUDITS / "schema-2.h5", path)
    with h5py.File(path, "r+") as file:
        change(file)
    most = 40 * MIB + (path.stat().st_size if path.stat().st_size > 10 * MIB else 0)
    with calls_at_most(2_000_000), peak_at_most(2 * most), pytest.raises(InputError, match=words):
        load_audit(path)


def test_more_links_than_any_audit_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    shutil.copy(OLD_AUDITS / "schema-2.h5", path)
    assert load_audit(path).model.classes
    with h5py.File(path, "r+") as file:
        _many_links(file)
    assert load_audit(path).model.classes
    monkeypatch.setattr("bdshift.store.datasets._MAX_LINKS", 300)
    with pytest.raises(InputError, match="holds more than 300 links"):
        load_audit(path)


def test_json_is_counted_before_it_is_parsed() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, "x"]}', 10) == {"a": [1, 2.5, None, "x"]}
    for text, words in {
        "[" + "{}," * 1000 + "{}]": "more than 100 values",
        "[" * 200_000: "values",
        "[" * 90 + "NaN" + "]" * 90: "NaN is not a JSON number",
        "[" + "9" * 5000 + "]": "broken",
        '{"a": ': "broken",
    }.items():
        with pytest.raises(InputError, match=words):
            parse_json(text, 100)
    with pytest.raises(InputError, match="nested too deeply"):
        parse_json("[" * 200_000, 1_000_000)
    tracemalloc.start()
    with pytest.raises(InputError, match="values"):
        parse_json(b"[" + b"{}," * 1_000_000 + b"{}]", 1000)
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()


def test_tables_of_safetensors(tmp_path: Path) -> None:
    def written(table: str) -> Path:
        path = tmp_path / "m.safetensors"
        path.write_bytes(struct.pack("<Q", len(table)) + table.encode() + bytes(16))
        return path

    one = '"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}'
    entries = ",".join(f'"{number:x}":""' for number in range(2_000_001))
    refused(written(f'{{"__metadata__": {{{entries}}}, {one}}}'), "MiB")
    refused(written('{"w": [' + "0," * 2_100_000 + "0]}"), "more than 2,000,000 values")
    long = one.replace("2, 2", "1," * 100_000 + "2, 2")
    refused(written(f"{{{long}}}"), "too many dimensions")
    assert json.loads(f"{{{one}}}")
