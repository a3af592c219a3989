"""Files for the reader's tests, including hostile ones, made from scratch."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch


def weights(seed: int = 0) -> OrderedDict[str, torch.Tensor]:
    """A small state dict with every common dtype and form."""
    rng = torch.Generator().manual_seed(seed)
    base = torch.randn(4, 6, generator=rng)
    return OrderedDict(
        plain=base,
        transposed=base.t(),
        slice=base[1:, 2:5],
        half=torch.randn(3, generator=rng).half(),
        bfloat=torch.randn(2, 2, generator=rng).bfloat16(),
        double=torch.randn(3, generator=rng).double(),
        integers=torch.arange(5),
        scalar=torch.tensor(3),
        empty=torch.empty(0, 4),
        boolean=torch.tensor([True, False]),
        parameter=torch.nn.Parameter(torch.randn(2, generator=rng)),
        complex=torch.randn(2, dtype=torch.complex64, generator=rng),
    )


def torch_zip(path: Path, data_pkl: bytes, storages: dict[str, bytes] | None = None) -> Path:
    """A torch zip around any pickle."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data_pkl)
        archive.writestr("archive/byteorder", "little")
        for key, data in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return path


class Call:
    """Pickles as a call of any function, by name."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.module, self.name, self.args = module, name, args


_InPython: Any = pickle._Pickler  # pure Python, so its save() can be overridden


class Pickler(_InPython):  # type: ignore[misc]
    """Writes `Call`s as GLOBAL and REDUCE, without importing what they name."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Call):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
            super().save(obj.args)
            self.write(b"R")
        else:
            super().save(obj, save_persistent_id)


def dumps(value: Any, protocol: int = 2) -> bytes:
    """Pickle a value that may hold `Call`s."""
    stream = io.BytesIO()
    Pickler(stream, protocol).dump(value)
    return stream.getvalue()


def storage_id(key: str, numel: int, kind: str = "FloatStorage") -> bytes:
    """Opcodes that push a storage: GLOBAL inside a persistent id."""
    return (
        b"(X\x07\x00\x00\x00storage" + f"ctorch\n{kind}\n".encode() + _text(key)
        + _text("cpu") + _int(numel) + b"tQ"
    )  # fmt: skip


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _int(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _ints(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(_int(v) for v in values) + b"t"


def tensor_pickle(
    storage: bytes, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> bytes:
    """A pickled dict with one tensor over ``storage``."""
    return (
        b"\x80\x02}" + _text("weight") + b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage + _int(offset) + _ints(shape) + _ints(stride) + b"\x89}tRs."
    )  # fmt: skip


def legacy(value_pickle: bytes, keys: list[str], storages: list[tuple[int, bytes]]) -> bytes:
    """Torch's legacy container around any pickle."""
    magic, protocol = 0x1950A86A20F9469CFC6C, 1001
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [pickle.dumps(v, 2) for v in (magic, protocol, system)]
    parts += [value_pickle, pickle.dumps(keys, 2)]
    parts += [struct.pack("<q", numel) + data for numel, data in storages]
    return b"".join(parts)
