"""What a Keras file holds: the description of the model, JSON, and its weights, in HDF5.

HDF5's own library reads the weights, with the precautions of `bdshift.store`: no links out of the
file, nothing that could expand. Text of variable length it does not read: a damaged one can send it
into an endless loop. So the description, which older files keep as such, is found in the bytes.
"""

from __future__ import annotations

import io
import json
import struct
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.tensors import LazyTensor
from bdshift.checkpoints.torch_zip import Span
from bdshift.errors import InputError
from bdshift.hdf5_data import (
    CHECKSUM,
    GZIP,
    SHUFFLE,
    filters,
    has_fitting_chunks,
    holds_numbers,
    is_local,
)
from bdshift.json_data import parse_json

if TYPE_CHECKING:
    import h5py
    import torch

Weights = Mapping[str, Mapping[str, LazyTensor]]
"""By layer, then by name: "kernel", or a number in newer files."""

_MAX_TEXT_BYTES = 16 * 1024 * 1024
_MAX_OBJECTS = 20_000
_MAX_LEVELS = 8
_MAX_RATIO = 64  # of bytes unpacked to bytes in the file: weights hardly compress
_FILTERS = frozenset({GZIP, SHUFFLE, CHECKSUM})
_MAX_VALUES = 1_000_000  # of a description: about a hundred for each layer
_MAX_DESCRIPTIONS = 100  # texts that may be one
_TEXTS = (b'{"class_name": "', b'{"module": "', b'{"class_name":"', b'{"module":"')
_DAMAGE = (OSError, LookupError, ValueError, TypeError, RuntimeError, OverflowError)
_lock = threading.Lock()  # the library is used by one thread at a time


class KerasFile:
    """The HDF5 file at a ``span`` of a file."""

    def __init__(self, file: HashedFile, span: Span) -> None:
        """Raises `InputError` if it is damaged, or keeps weights in a way that is not read."""
        import h5py

        self._room = _MAX_RATIO * (span[1] - span[0])
        self._seen: set[int] = set()
        try:
            self._file = h5py.File(io.BufferedReader(_Part(file, span)), "r")
            self.roots = tuple(self._file)
        except _DAMAGE as error:
            raise InputError("is a damaged HDF5 file") from error

    def holds(self, attribute: str) -> bool:
        """Whether the file has such an attribute."""
        return attribute in self._file.attrs

    def weights(self, root: str) -> Weights:
        """The datasets under a group, by layer and by the last part of their names.

        Raises `InputError` as the constructor does.
        """
        found: dict[str, dict[str, LazyTensor]] = {}
        try:
            with _lock:
                for path, dataset in self._datasets(self._group(root), (), 0):
                    *layer, name = path
                    layer = [part for part in layer if part != "vars"]
                    inside = found.setdefault("/".join(layer), {})
                    inside[name.partition(":")[0]] = self._tensor(dataset, "/".join(path))
        except _DAMAGE as error:
            raise InputError("is a damaged HDF5 file") from error
        return found

    def _group(self, root: str) -> h5py.Group:
        import h5py

        link = self._file.get(root, getlink=True)
        group = self._file[root] if isinstance(link, h5py.HardLink) else None
        if not isinstance(group, h5py.Group):
            raise InputError("holds no weights of a Keras model")
        return group

    def _datasets(
        self, group: h5py.Group, path: tuple[str, ...], level: int
    ) -> Iterator[tuple[tuple[str, ...], h5py.Dataset]]:
        import h5py

        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in self._seen:
                raise InputError("holds the same weights under two names")
            self._seen.add(address)
            if len(self._seen) > _MAX_OBJECTS:
                raise InputError("holds more weights than any network")
            if isinstance(item, h5py.Dataset):
                yield (*path, name), item
            elif isinstance(item, h5py.Group) and level < _MAX_LEVELS:
                yield from self._datasets(item, (*path, name), level + 1)

    def _tensor(self, dataset: h5py.Dataset, name: str) -> LazyTensor:
        if (
            not (is_local(dataset) and holds_numbers(dataset) and has_fitting_chunks(dataset))
            or not filters(dataset) <= _FILTERS
            or dataset.dtype.kind not in "fi"
            or not self._has_room_for(dataset)
        ):
            raise InputError("keeps its weights {name} in a way that is not read", name=name[-80:])
        dtype = "float32" if dataset.dtype.kind == "f" else "int64"
        return LazyTensor(tuple(dataset.shape), dtype, partial(_read, dataset))

    def _has_room_for(self, dataset: h5py.Dataset) -> bool:
        self._room -= dataset.nbytes
        return self._room >= 0


def _read(dataset: h5py.Dataset) -> torch.Tensor:
    import numpy as np
    import torch

    kind = np.float32 if dataset.dtype.kind == "f" else np.int64
    try:
        with _lock:
            return torch.from_numpy(np.array(dataset[()], dtype=kind))
    except _DAMAGE as error:
        raise InputError("a tensor's data is cut off") from error


def description(file: HashedFile, span: Span) -> Any:
    """The description of the model in an HDF5 file, found as what HDF5 stores a long text as: its
    length, 8 bytes, then the text.

    Raises `InputError` if there are several that differ, or very many; None if there is none.
    """
    found: dict[str, Any] = {}
    tried = 0
    data = file.read(span[0], min(span[1] - span[0], _MAX_SEARCHED))
    for start in _TEXTS:
        at = data.find(start)
        while at >= 0:
            (length,) = struct.unpack("<Q", data[at - 8 : at]) if at >= 8 else (0,)
            if len(start) < length <= _MAX_TEXT_BYTES:
                tried += 1
                if tried > _MAX_DESCRIPTIONS:
                    raise InputError("describes several models")
                value = parsed(bytes(data[at : at + length]))
                kind = value.get("class_name") if isinstance(value, dict) else None
                if kind in MODELS and "config" in value:
                    found[json.dumps(value, sort_keys=True)] = value
                if len(found) > 1:
                    raise InputError("describes several models")
            at = data.find(start, at + 1)
    return next(iter(found.values()), None)


MODELS = ("Sequential", "Functional", "Model")
"""Kinds of models that have their layers in their description."""

_MAX_SEARCHED = 2**31  # bytes of a file in which the description is looked for


def parsed(text: bytes) -> Any:
    """JSON; None if it is not, or holds more than any description."""
    try:
        return parse_json(text.rstrip(b"\0"), _MAX_VALUES)
    except InputError:
        return None


class _Part(io.RawIOBase):
    """A span of a file as a stream."""

    def __init__(self, file: HashedFile, span: Span) -> None:
        self._stream: BinaryIO = file.stream()
        self._span = span
        self._stream.seek(span[0])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(max(0, min(len(buffer), self._span[1] - self._stream.tell())))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start, end = self._span
        base = {io.SEEK_SET: start, io.SEEK_CUR: self._stream.tell(), io.SEEK_END: end}[whence]
        return self._stream.seek(max(start, base + offset)) - start

    def tell(self) -> int:
        return self._stream.tell() - self._span[0]
