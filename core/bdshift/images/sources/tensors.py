"""One tensor of a file that torch saved: labels are kept so. Nothing in the file is run."""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.sources.unpack import UNPACK_ERRORS
from bdshift.pickle_data import LEGACY_MAGIC, read_pickle
from bdshift.pickle_values import PickleError, TensorRef
from bdshift.zip_data import open_zip

_ZIP = b"PK\3\4"
_MAX_ENTRIES = 1000
_LEVELS = 3  # of lists and dicts around the tensors
_MAX_ITEMS = 100_000  # in them
_DTYPES = {
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?", "DoubleStorage": "<f8", "FloatStorage": "<f4",
    "HalfStorage": "<f2", "int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "i1",
    "uint8": "u1", "bool": "?", "float64": "<f8", "float32": "<f4", "float16": "<f2",
}  # fmt: skip


def is_tensor_file(data: bytes) -> bool:
    """Whether these are the bytes of what ``torch.save`` writes, in its older or its newer form."""
    if data.startswith(_ZIP):
        return b"data.pkl" in data[:4096]
    return data[:2] == b"\x80\x02" and LEGACY_MAGIC.to_bytes(10, "little") in data[:32]


def tensor_file(data: bytes) -> Any:
    """What is in the file, with its tensors as arrays where their numbers are known.

    Raises `InputError` if it is broken.
    """
    try:
        return _of_zip(data) if data.startswith(_ZIP) else _of_older(data)
    except (PickleError, zipfile.BadZipFile, RuntimeError, LookupError, *UNPACK_ERRORS) as error:
        reason = error.sentence if isinstance(error, PickleError) else str(error)
        raise InputError("is a broken tensor ({reason})", reason=reason) from error


def _of_zip(data: bytes) -> Any:
    with open_zip(io.BytesIO(data)) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        if len(infos) > _MAX_ENTRIES:
            raise InputError("holds more than {most} arrays", most=_MAX_ENTRIES)
        if sum(info.file_size for info in infos.values()) > len(data):
            raise ValueError("its entries overlap or are compressed")

        def entry(name: str) -> bytes:
            info = infos[name]
            if info.compress_type != zipfile.ZIP_STORED:
                raise InputError("is not as torch writes it: {name} is compressed", name=name)
            return archive.read(info)

        pickle = next((name for name in infos if name.endswith("data.pkl")), "data.pkl")
        root = pickle.removesuffix("data.pkl")
        found = read_pickle(io.BytesIO(entry(pickle)))
        storages = {
            ref.key: entry(f"{root}data/{ref.key}")
            for ref in found.storages
            if f"{root}data/{ref.key}" in infos
        }
        return _Filled(storages).of(found.value)


def _of_older(data: bytes) -> Any:
    """A magic number, a version, the system, the value, its storages' keys; then their numbers,
    each after how many there are.
    """
    stream = io.BytesIO(data)
    parts = [read_pickle(stream) for _ in range(5)]
    value, keys = parts[3], parts[4].value
    kinds = {ref.key: ref for ref in value.storages}
    storages = {}
    for key in keys if isinstance(keys, list) else ():
        ref = kinds.get(str(key))
        kind = None if ref is None else _DTYPES.get(ref.kind.name)
        count = int.from_bytes(stream.read(8), "little")
        if kind is None or count > len(data):
            raise ValueError("its numbers are of an unknown kind")
        storages[str(key)] = stream.read(count * np.dtype(kind).itemsize)
    return _Filled(storages).of(value.value)


class _Filled:
    """Puts numbers into a tree of lists and dicts. A part that the tree holds many times is filled
    once.
    """

    def __init__(self, storages: dict[str, bytes]) -> None:
        self._storages = storages
        self._made: dict[tuple[int, int], Any] = {}

    def of(self, value: Any, level: int = 0) -> Any:
        key = id(value), level
        if key not in self._made:
            self._made[key] = self._of(value, level)
        return self._made[key]

    def _of(self, value: Any, level: int) -> Any:
        if isinstance(value, TensorRef):
            return _array(value, self._storages.get(value.storage.key, b""))
        if level < _LEVELS and isinstance(value, dict) and len(value) <= _MAX_ITEMS:
            return {key: self.of(one, level + 1) for key, one in value.items()}
        if level < _LEVELS and isinstance(value, list | tuple) and len(value) <= _MAX_ITEMS:
            return [_number(self.of(one, level + 1)) for one in value]
        return value


def _number(value: Any) -> Any:
    """Labels may be a list of tensors of one number each."""
    single = isinstance(value, np.ndarray) and value.ndim == 0
    return value.item() if single else value


def _array(ref: TensorRef, data: bytes) -> NDArray[Any] | None:
    kind = _DTYPES.get((ref.dtype or ref.storage.kind).name)
    count = math.prod(ref.shape)
    dense = tuple(math.prod(ref.shape[axis + 1 :]) for axis in range(len(ref.shape)))
    strides = zip(ref.stride, dense, ref.shape, strict=True)
    if kind is None or any(step != full and size > 1 for step, full, size in strides):
        return None
    flat = np.frombuffer(data, kind, count=len(data) // np.dtype(kind).itemsize)
    if ref.offset + count > len(flat):
        raise ValueError("it is cut short")
    return flat[ref.offset : ref.offset + count].reshape(ref.shape)
