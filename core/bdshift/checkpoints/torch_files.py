"""Both kinds of ``torch.save`` files, and plain pickles: their pickles are read as data, their
tensors made readable where they are in the file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from functools import partial
from typing import Any, BinaryIO

from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.names import refuse_code
from bdshift.checkpoints.numpy_arrays import numpy_array
from bdshift.checkpoints.objects import is_module, saved_module
from bdshift.checkpoints.quantized import REBUILD, dequantized
from bdshift.checkpoints.tensors import LazyTensor, element_bytes, lazy_tensor
from bdshift.checkpoints.torch_zip import Span
from bdshift.errors import InputError
from bdshift.pickle_data import LEGACY_MAGIC, MAX_OPERATIONS, Unpickled, read_pickle
from bdshift.pickle_values import Name, Opaque, PickleError, StorageRef, TensorRef

MAX_PICKLE_BYTES = 256 * 1024 * 1024
"""Limit for the pickle alone, without the tensors' data; a large model's is under 1 MiB."""

_MAX_DEPTH = 12

Read = tuple[str, Any, tuple[Name, ...]]
"""Container, value, names."""


def read_zip(file: HashedFile, entries: Mapping[str, Span]) -> Read:
    """A file from ``torch.save`` or ``torch.jit.save``: data.pkl and a span for each storage."""
    start, end = entries["data.pkl"]
    if end - start > MAX_PICKLE_BYTES:
        raise InputError("its pickle is too large for a checkpoint")
    if "byteorder" in entries:
        first, last = entries["byteorder"]
        if file.read(first, min(16, last - first)) != b"little":
            raise InputError("was written on a big-endian machine, which is not supported")
    found = _unpickle(io.BytesIO(file.read(start, end - start)))
    spans = {name[5:]: span for name, span in entries.items() if name.startswith("data/")}
    container = "TorchScript" if "constants.pkl" in entries else "torch zip"
    return container, _Tree(file, spans, found.nested).of(found.value), found.names


def read_pickles(file: HashedFile) -> Read:
    """Torch's older format: magic, protocol, system, value, storage keys; then for each storage its
    number of elements (int64) and its data. Or a single pickle, as written by ``pickle.dump``.
    """
    stream = file.stream()
    # A buffered stream reserves whatever length a pickle claims, so never more than there is.
    limited: Any = _Limited(stream, min(MAX_PICKLE_BYTES, file.size))
    first = _unpickle(limited)
    if first.value != LEGACY_MAGIC:
        if file.size > MAX_PICKLE_BYTES:
            raise InputError("is a plain pickle, too large to read; save it with torch.save")
        return "pickle", _Tree(file, {}, first.nested).of(first.value), first.names
    left = MAX_OPERATIONS
    names: dict[Name, None] = {}
    storages: list[StorageRef] = []
    nested: dict[str, bytes] = {}
    parts = []
    for _ in range(4):
        found = _unpickle(limited, left)
        left -= found.operations
        names.update(dict.fromkeys(found.names))
        storages += found.storages
        nested |= found.nested
        parts.append(found.value)
    _, system, value, keys = parts
    if isinstance(system, dict) and system.get("little_endian") is False:
        raise InputError("was written on a big-endian machine, which is not supported")
    if not isinstance(keys, list):
        raise InputError("is damaged: its list of storages is missing")
    element = {storage.key: element_bytes(storage) for storage in storages}
    spans: dict[str, Span] = {}
    position = stream.tell()
    for key in keys:
        if not isinstance(key, str):
            raise InputError("is damaged: a storage's key is not text")
        header = file.read(position, 8)
        if len(header) < 8 or key not in element:
            raise InputError("is cut off or damaged: a storage is missing")
        (numel,) = struct.unpack("<q", header)
        end = position + 8 + numel * element[key]
        if numel < 0 or end > file.size:
            raise InputError("is cut off: a storage reaches past the end of the file")
        spans[key] = (position + 8, end)
        position = end
    return "torch legacy", _Tree(file, spans, nested).of(value), tuple(names)


def _unpickle(stream: BinaryIO, operations: int = MAX_OPERATIONS) -> Unpickled:
    """Read a pickle; refuse it if it names something that would run code, broken or not."""
    try:
        found = read_pickle(stream, operations)
    except PickleError as error:
        refuse_code(error.names)
        raise InputError("is damaged: {reason}", reason=error.sentence) from error
    refuse_code(found.names)
    return found


class _Limited(io.RawIOBase):
    """The first ``limit`` bytes of a stream, so that no length in a pickle can ask for more."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._limit = stream, limit

    def _room(self, size: int | None) -> int:
        room = max(0, self._limit - self._stream.tell())
        return room if size is None or size < 0 else min(size, room)

    def read(self, size: int | None = -1) -> bytes:
        return self._stream.read(self._room(size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._stream.readline(self._room(size))

    def tell(self) -> int:
        return self._stream.tell()


def read_block(file: HashedFile, span: Span, start: int, length: int) -> bytearray:
    """``length`` bytes from ``start`` in a span of the file; fewer at its end."""
    first, last = span
    return file.read(first + start, min(length, last - first - start))


class _Tree:
    """Turns every `TensorRef` of a tree into a `LazyTensor` and every module into a `SavedModule`.
    Each part is converted once, however often it is referred to; what is too deep is left out.
    """

    def __init__(
        self, file: HashedFile, spans: Mapping[str, Span], nested: Mapping[str, bytes]
    ) -> None:
        self.file, self.spans, self.nested = file, spans, nested
        self.seen: dict[int, Any] = {}
        self.modules = [0]

    def of(self, value: Any, depth: int = 0) -> Any:
        if id(value) in self.seen:
            return self.seen[id(value)]
        if isinstance(value, TensorRef):
            return self.seen.setdefault(id(value), self.tensor(value))
        if isinstance(value, Opaque) and is_module(value):
            return self.seen.setdefault(id(value), saved_module(value, self.tensor, self.modules))
        if isinstance(value, Opaque) and value.what == REBUILD:
            return self.seen.setdefault(id(value), dequantized(value, self.tensor))
        if isinstance(value, Opaque) and (array := numpy_array(value)) is not None:
            return self.seen.setdefault(id(value), array)
        held = value.state if isinstance(value, Opaque) else value
        if not isinstance(held, (dict, list, tuple)):
            return value
        if depth > _MAX_DEPTH:
            return None
        if isinstance(held, dict):  # for an object, its attributes
            branch: dict[Any, Any] = {}
            self.seen[id(value)] = branch
            for key, item in held.items():
                branch[key] = self.of(item, depth + 1)
            return branch
        items: list[Any] = []
        self.seen[id(value)] = items
        items += [self.of(item, depth + 1) for item in held]
        return items

    def tensor(self, ref: TensorRef) -> LazyTensor:
        needed = ref.storage.numel * element_bytes(ref.storage)
        inside = self.nested.get(ref.storage.key)
        if inside is not None:
            if needed > len(inside):
                raise InputError("a storage ({key}) is cut off", key=ref.storage.key)
            return lazy_tensor(ref, lambda _, start, length: bytearray(inside[start:][:length]))
        span = self.spans.get(ref.storage.key, (0, -1))
        if needed > span[1] - span[0]:
            raise InputError("a storage ({key}) is missing or cut off", key=ref.storage.key)
        return lazy_tensor(ref, partial(_block, self.file, span), span[0])


def _block(
    file: HashedFile, span: Span, _storage: StorageRef, start: int, length: int
) -> bytearray:
    return read_block(file, span, start, length)
