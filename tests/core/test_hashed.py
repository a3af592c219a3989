"""What is read of a file is what was hashed, even if somebody writes to it in between."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.hashed import HashedFile
from bdshift.errors import InputError

MIB = 1024 * 1024


def _network(fill: float) -> dict[str, torch.Tensor]:
    """A multilayer perceptron of 2.3 MiB."""
    return {
        "0.weight": torch.full((192, 3072), fill),
        "0.bias": torch.full((192,), fill),
        "2.weight": torch.full((10, 192), fill),
        "2.bias": torch.full((10,), fill),
    }


WRITERS: dict[str, Callable[[dict[str, torch.Tensor], Path], Any]] = {
    "zip": torch.save,
    "legacy": lambda held, path: torch.save(held, path, _use_new_zipfile_serialization=False),
    "safetensors": save_file,
}


@pytest.mark.parametrize("form", WRITERS)
def test_weights_swapped_after_they_were_hashed_are_not_used(tmp_path: Path, form: str) -> None:
    path = tmp_path / "model.bin"
    WRITERS[form](_network(2.0), tmp_path / "other.bin")
    WRITERS[form](_network(1.0), path)
    opened = open_checkpoint(path)
    size, other = path.stat().st_size, (tmp_path / "other.bin").read_bytes()
    if form == "legacy":  # which names tensors by their addresses, that have any number of digits
        other = path.read_bytes().replace(struct.pack("<f", 1.0), struct.pack("<f", 2.0))
    assert opened.file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(other) == size
    with path.open("r+b") as stream:  # in place: the same file, of the same size
        stream.write(other)
    again = open_checkpoint(path)
    assert float(again.load(again.candidates[0]).weight[0, 0]) == 2.0
    with pytest.raises(InputError, match=r"model\.bin: has changed while it was being read"):
        opened.load(opened.candidates[0])


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_cut_short_after_it_was_opened_is_an_error(tmp_path: Path, form: str) -> None:
    path = tmp_path / "model.bin"
    WRITERS[form](_network(1.0), path)
    opened = open_checkpoint(path)
    os.truncate(path, MIB)
    with pytest.raises(InputError, match="has changed"):
        opened.load(opened.candidates[0])
    path.unlink()
    with pytest.raises(InputError, match="has changed"):
        opened.load(opened.candidates[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_file_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    save_file(_network(1.0), path)
    opened = open_checkpoint(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="has changed"):
        opened.load(opened.candidates[0])
    with pytest.raises(InputError, match="not a file but a device or a pipe"):
        open_checkpoint(path)


def test_any_part_of_a_hashed_file(tmp_path: Path) -> None:
    path = tmp_path / "data"
    data = bytes(range(256)) * (10 * MIB // 1024)  # two and a half blocks
    path.write_bytes(data)
    file = HashedFile(path)
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    spans = [(0, 10), (MIB - 3, 6), (5, 2 * MIB), (0, len(data)), (len(data) - 4, 99), (MIB, MIB)]
    for start, length in spans:
        assert file.read(start, length) == data[start : start + length], (start, length)
    assert file.read(len(data) + 5, 3) == b""
    stream = file.stream()
    stream.seek(-7, os.SEEK_END)
    assert stream.read() == data[-7:]


def test_only_what_changed_is_missed(tmp_path: Path) -> None:
    """A block that is the same can still be read; the changed one cannot."""
    path = tmp_path / "data"
    path.write_bytes(bytes(3 * MIB))
    file = HashedFile(path)
    with path.open("r+b") as stream:
        stream.seek(2 * MIB + 1)
        stream.write(b"x")
    assert file.read(0, 2 * MIB) == bytes(2 * MIB)
    with pytest.raises(InputError, match="has changed"):
        file.read(2 * MIB, 1)
