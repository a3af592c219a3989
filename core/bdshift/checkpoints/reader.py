"""A file becomes a tree of plain values and `LazyTensor`s; nothing in it is ever run.

Three containers: torch's zip, torch's older row of pickles (whatever the suffix: ``.tar`` and
``.th`` files are these too), and safetensors. The suffix is not looked at.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from bdshift.checkpoints.pickle_data import (
    LEGACY_MAGIC,
    MAX_OPERATIONS,
    Name,
    PickleError,
    StorageRef,
    TensorRef,
    Unpickled,
    read_pickle,
)
from bdshift.checkpoints.tensors import LazyTensor, element_bytes, is_storage_name, lazy_tensor
from bdshift.checkpoints.torch_zip import Span, torch_zip_entries
from bdshift.errors import InputError
from bdshift.jobs import SILENT, JobContext

MAX_PICKLE_BYTES = 256 * 1024 * 1024
"""Of the pickle alone, without the numbers; a large model's is under one MiB."""

_MAX_DEPTH = 12

# All that a file of weights has reason to name, beside storages and dtypes. Reading calls none of
# them; the list decides which files are refused as more than weights. The last group is what
# BackdoorBench and Input-aware write beside the weights.
_WEIGHTS_NAMES = frozenset(
    "collections.OrderedDict collections.Counter collections.defaultdict "
    "torch._utils._rebuild_tensor torch._utils._rebuild_tensor_v2 torch._utils._rebuild_tensor_v3 "
    "torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state "
    "torch.nn.parameter.Parameter torch.Size torch.device torch.serialization._get_layout "
    "builtins.set builtins.dict builtins.list builtins.complex __builtin__.set _codecs.encode "
    "numpy.dtype numpy.ndarray numpy.core.multiarray.scalar numpy._core.multiarray.scalar "
    "numpy.core.multiarray._reconstruct numpy._core.multiarray._reconstruct "
    "numpy.core.numeric._frombuffer numpy._core.numeric._frombuffer "
    "argparse.Namespace".split()
)
_DTYPES = frozenset(
    "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 bool complex64 complex128 "
    "half float double long float8_e4m3fn float8_e5m2".split()
)


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds.

    Attributes:
        path: of the file.
        sha256: of all its bytes, in hex.
        size: in bytes.
        container: "torch zip", "torch legacy" or "safetensors".
        value: dicts, lists, tuples, numbers, text, `LazyTensor`; `Name` and `Opaque` for the rest.
        names: every class or function that its pickle names.
    """

    path: Path
    sha256: str
    size: int
    container: str
    value: Any
    names: tuple[Name, ...]


def read_checkpoint(path: str | Path, *, job: JobContext = SILENT) -> CheckpointFile:
    """Read a checkpoint as data.

    Raises `InputError`, one sentence, if the file cannot be read, is no checkpoint, is broken, or
    names code that weights have no need of (then it says which).
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the checkpoint file in it")
        if not path.is_file():
            raise InputError(f"{path}: is not a file but a device or a pipe")
        if size == 0:
            raise InputError(f"{path}: is empty")
        with path.open("rb") as stream:
            digest = _hash(stream, size, job)
            stream.seek(0)
            container, value, names = _read(path, stream, size)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from error
    return CheckpointFile(path, digest, size, container, value, names)


def _hash(stream: BinaryIO, size: int, job: JobContext) -> str:
    digest = hashlib.sha256()
    step = 8 * 1024 * 1024
    for done in range(0, size, step):
        digest.update(stream.read(step))
        job.progress("Hashing the checkpoint", min(size, done + step), size, "bytes")
    return digest.hexdigest()


def _read(path: Path, stream: BinaryIO, size: int) -> tuple[str, Any, tuple[Name, ...]]:
    head = stream.read(64)
    stream.seek(0)
    if head.startswith(b"PK\x03\x04"):
        return "torch zip", *_read_zip(path, stream, size)
    if len(head) >= 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] + 8 <= size:
        return "safetensors", _read_safetensors(path), ()
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        return "torch legacy", *_read_legacy(path, stream, size)
    raise InputError(_what_is_it(head))


def _what_is_it(head: bytes) -> str:
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, not a checkpoint; the download probably failed"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the checkpoint itself; fetch it with git lfs pull"
    if head.startswith(b"\x89HDF"):
        return "is an HDF5 file, no checkpoint (an audit file? bdshift neurons reads those)"
    if head.startswith(b"\x1f\x8b"):
        return "is gzip-compressed; unpack it first"
    return "is no checkpoint that bdshift knows (torch.save or safetensors), or it is damaged"


def _unpickle(stream: BinaryIO, operations: int = MAX_OPERATIONS) -> Unpickled:
    """Read a pickle; refuse it if it names more than weights need, broken or not."""
    try:
        found = read_pickle(stream, operations)
    except PickleError as error:
        _refuse_code(error.names)
        raise InputError(f"is damaged: {error}") from error
    _refuse_code(found.names)
    return found


def _refuse_code(names: tuple[Name, ...]) -> None:
    blocked = [str(name) for name in names if not _is_weights_name(name)]
    if not blocked:
        return
    shown = ", ".join(f"{name[:80]}" for name in blocked[:6])
    more = f" and {len(blocked) - 6} more" if len(blocked) > 6 else ""
    raise InputError(
        f"refused: beside weights it names {shown}{more}, and bdshift runs no code from a file it "
        "audits; save the model's state_dict() instead"
    )


def _is_weights_name(name: Name) -> bool:
    return (
        str(name) in _WEIGHTS_NAMES
        or is_storage_name(name)
        or (name.module == "torch" and name.name in _DTYPES)
        or (name.module == "numpy.dtypes" and name.name.endswith("DType"))
    )


def _read_block(
    path: Path, spans: dict[str, Span], storage: StorageRef, start: int, length: int
) -> bytearray:
    """A stretch of a storage, read when a tensor asks for it. The file may have changed since."""
    first, last = spans[storage.key]
    data = bytearray(max(0, min(length, last - first - start)))
    with path.open("rb") as stream:
        stream.seek(first + start)
        del data[stream.readinto(data) :]
    return data


def _with_tensors(value: Any, path: Path, spans: dict[str, Span]) -> Any:
    """The tree with every `TensorRef` made a `LazyTensor` over the file's ``spans``."""

    def make(ref: TensorRef) -> LazyTensor:
        start, end = spans.get(ref.storage.key, (0, -1))
        if ref.storage.numel * element_bytes(ref.storage) > end - start:
            raise InputError(f"a storage ({ref.storage.key}) is missing or cut off")
        return lazy_tensor(ref, partial(_read_block, path, spans))

    return _lazy_tree(value, make, {}, 0)


def _lazy_tree(
    value: Any, make: Callable[[TensorRef], LazyTensor], seen: dict[int, Any], depth: int
) -> Any:
    """Each part is made once, however often it is referred to; too deep a part is left out."""
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, TensorRef):
        return seen.setdefault(id(value), make(value))
    if not isinstance(value, (dict, list, tuple)):
        return value
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        branch: dict[Any, Any] = {}
        seen[id(value)] = branch
        for key, item in value.items():
            branch[key] = _lazy_tree(item, make, seen, depth + 1)
        return branch
    items: list[Any] = []
    seen[id(value)] = items
    items += [_lazy_tree(item, make, seen, depth + 1) for item in value]
    return items


def _read_zip(path: Path, stream: BinaryIO, size: int) -> tuple[Any, tuple[Name, ...]]:
    entries = torch_zip_entries(stream, size)
    start, end = entries["data.pkl"]
    if end - start > MAX_PICKLE_BYTES:
        raise InputError("its pickle is too large to be one of weights")
    if "byteorder" in entries:
        first, last = entries["byteorder"]
        stream.seek(first)
        if stream.read(min(16, last - first)) != b"little":
            raise InputError("was written on a big-endian machine, which is not supported")
    stream.seek(start)
    found = _unpickle(io.BytesIO(stream.read(end - start)))
    spans = {name[5:]: span for name, span in entries.items() if name.startswith("data/")}
    return _with_tensors(found.value, path, spans), found.names


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


def _read_legacy(path: Path, stream: BinaryIO, size: int) -> tuple[Any, tuple[Name, ...]]:
    """magic, protocol, system, value, storage keys; then each storage: numel (int64), data."""
    limited: Any = _Limited(stream, MAX_PICKLE_BYTES)
    first = _unpickle(limited)
    if first.value != LEGACY_MAGIC:
        raise InputError("is a plain pickle, not written by torch.save")
    left = MAX_OPERATIONS
    names: dict[Name, None] = {}
    storages: list[StorageRef] = []
    parts = []
    for _ in range(4):
        found = _unpickle(limited, left)
        left -= found.operations
        names.update(dict.fromkeys(found.names))
        storages += found.storages
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
            raise InputError("is damaged: a storage's key is no text")
        stream.seek(position)
        header = stream.read(8)
        if len(header) < 8 or key not in element:
            raise InputError("is cut off or damaged: a storage is missing")
        (numel,) = struct.unpack("<q", header)
        end = position + 8 + numel * element[key]
        if numel < 0 or end > size:
            raise InputError("is cut off: a storage reaches out of the file")
        spans[key] = (position + 8, end)
        position = end
    return _with_tensors(value, path, spans), tuple(names)


def _read_safetensors(path: Path) -> dict[str, LazyTensor]:
    from safetensors import SafetensorError, safe_open

    def read(key: str) -> Any:
        with safe_open(path, framework="pt") as opened:
            return opened.get_tensor(key)

    names = {
        "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
        "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
        "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    }  # fmt: skip
    try:
        found = {}
        with safe_open(path, framework="np") as opened:
            for key in opened.keys():  # noqa: SIM118  (not a dict: it has no __iter__)
                part = opened.get_slice(key)
                dtype = names.get(part.get_dtype(), part.get_dtype())
                found[key] = LazyTensor(tuple(part.get_shape()), dtype, partial(read, key))
    except SafetensorError as error:
        raise InputError(f"is a damaged safetensors file ({error})") from error
    return found
