"""safetensors files: a table of tensors in JSON, then their numbers. The table is read here; the
library for it would map the file into memory, where it crashes if the file is cut short meanwhile.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.tensors import ITEM_BYTES, MAX_DIMENSIONS, LazyTensor, lazy_tensor
from bdshift.checkpoints.torch_files import read_block
from bdshift.errors import InputError
from bdshift.json_data import parse_json
from bdshift.pickle_values import Name, StorageRef, TensorRef
from bdshift.words import Sentence

_MAX_TABLE_BYTES = 16 * 1024 * 1024  # a tensor takes about a hundred; metadata may hold a document
_MAX_VALUES = 2_000_000  # in the table: seven for each tensor
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32",
    "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip


def read_safetensors(file: HashedFile) -> dict[str, LazyTensor]:
    """The tensors of a file, sorted by name.

    Raises `InputError`, without the path, if the table is broken or does not describe all that
    follows it exactly once.
    """
    start = 8 + _table_bytes(file)
    try:
        table = _table(file)
        table.pop("__metadata__", None)
        found = {str(name): _tensor(file, start, table[name]) for name in sorted(table)}
        spans = sorted((*map(_offset, row["data_offsets"]),) for row in table.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(str(error) or type(error).__name__) from error
    end = 0
    for first, last in spans:
        if first != end:
            raise _damaged(Sentence("its tensors overlap or leave gaps"))
        end = last
    if start + end != file.size:
        raise _damaged(Sentence("it is not as long as its table says"))
    return found


def read_metadata(file: HashedFile) -> dict[str, str]:
    """The texts in a file beside its tensors, by name. Raises `InputError`, without the path."""
    try:
        found = _table(file).get("__metadata__", {})
        return {key: value for key, value in found.items() if isinstance(value, str)}
    except (ValueError, AttributeError, RecursionError) as error:
        raise _damaged(str(error) or type(error).__name__) from error


def _table_bytes(file: HashedFile) -> int:
    head = file.read(0, 8)
    if len(head) < 8:
        raise _damaged(Sentence("it is not as long as its table says"))
    (length,) = struct.unpack("<Q", head)
    if length > _MAX_TABLE_BYTES:
        raise InputError(
            "its table of tensors takes more than {most} MiB", most=_MAX_TABLE_BYTES >> 20
        )
    return int(length)


def _table(file: HashedFile) -> Any:
    length = _table_bytes(file)
    return parse_json(bytes(file.read(8, length)), _MAX_VALUES, object_pairs_hook=_once)


def _damaged(reason: str | Sentence) -> InputError:
    return InputError("is a damaged safetensors file ({reason})", reason=reason)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ: two readers could take different ones of a pair."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _damaged(Sentence("a name is in its table twice"))
    return found


def _tensor(file: HashedFile, start: int, row: Mapping[str, Any]) -> LazyTensor:
    if len(row["shape"]) > MAX_DIMENSIONS:
        raise ValueError("a tensor has too many dimensions")
    shape = tuple(map(_offset, row["shape"]))
    first, last = map(_offset, row["data_offsets"])
    dtype = _DTYPES.get(row["dtype"])
    if dtype is None:
        raise InputError("a tensor of the type {kind} cannot be read", kind=str(row["dtype"])[:40])
    if math.prod(shape) * ITEM_BYTES[dtype] != last - first:
        raise _damaged(Sentence("a tensor's shape does not fit its numbers"))
    storage = StorageRef("", Name("torch", "UntypedStorage"), last - first)
    stride = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    ref = TensorRef(storage, 0, shape, stride, Name("torch", dtype))

    def block(_: StorageRef, at: int, length: int) -> bytearray:
        return read_block(file, (start + first, start + last), at, length)

    return lazy_tensor(ref, block, start + first)


def _offset(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**48:
        raise _damaged(Sentence("a size in its table is not a valid number"))
    return value
