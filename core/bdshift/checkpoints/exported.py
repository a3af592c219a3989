"""``torch.export`` archives (.pt2), which store the weights as plain bytes, described by JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bdshift.checkpoints.hashed import HashedFile
from bdshift.checkpoints.tensors import MAX_DIMENSIONS, LazyTensor, lazy_tensor
from bdshift.checkpoints.torch_files import read_block
from bdshift.checkpoints.torch_zip import EXPORTED, Span
from bdshift.errors import InputError
from bdshift.json_data import parse_json
from bdshift.pickle_values import Name, StorageRef, TensorRef

_MAX_TABLE_BYTES = 64 * 1024 * 1024
_MAX_VALUES = 2_000_000  # in the table: about forty for each tensor
_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32",
    8: "float64", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16",
}  # fmt: skip
"""By their numbers in torch.export (torch/_export/serde/schema.py, ScalarType)."""


def read_exported(file: HashedFile, entries: Mapping[str, Span]) -> dict[str, LazyTensor]:
    """The state dict of an exported program. Its graph is not read.

    Raises `InputError` if the table is broken, or a tensor's bytes are not all there.
    """
    start, end = entries[EXPORTED]
    if end - start > _MAX_TABLE_BYTES:
        raise InputError("its table of weights is too large")
    try:
        table = parse_json(bytes(file.read(start, end - start)), _MAX_VALUES)["config"]
        return {
            str(name): _tensor(file, entries, row)
            for name, row in table.items()
            if not row["use_pickle"]
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("its table of weights is broken ({reason})", reason=str(error)) from error


def _tensor(file: HashedFile, entries: Mapping[str, Span], row: Mapping[str, Any]) -> LazyTensor:
    about = row["tensor_meta"]
    shape = tuple(_size(part) for part in about["sizes"][: MAX_DIMENSIONS + 1])
    stride = tuple(_size(part) for part in about["strides"])
    if len(shape) != len(stride) or len(shape) > MAX_DIMENSIONS:
        raise InputError("a tensor's shape and stride do not match")
    dtype = _DTYPES[about["dtype"]]
    start, end = entries["data/weights/" + row["path_name"]]
    storage = StorageRef(row["path_name"], Name("torch", "UntypedStorage"), end - start)
    offset = _size(about["storage_offset"])
    ref = TensorRef(storage, offset, shape, stride, Name("torch", dtype))

    def block(_: StorageRef, first: int, length: int) -> bytearray:
        return read_block(file, (start, end), first, length)

    return lazy_tensor(ref, block, start)


def _size(part: Mapping[str, Any]) -> int:
    value = part["as_int"]
    if type(value) is not int or not 0 <= value < 2**48:
        raise InputError("a tensor's size is not a valid number")
    return value
