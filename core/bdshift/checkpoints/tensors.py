"""A tensor in a file: its shape is known, its numbers are read on demand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bdshift.errors import InputError
from bdshift.pickle_values import Name, StorageRef, TensorRef

if TYPE_CHECKING:
    import torch

MAX_DIMENSIONS = 64
"""Of a tensor, as in NumPy."""

ReadBlock = Callable[[StorageRef, int, int], bytearray]
"""Reads (storage, start, length), in bytes, from the file; fewer at the end of the file."""

# Storage class in a pickle → dtype. "" means raw bytes: the tensor's own dtype says what they are.
_STORAGE_DTYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "int8",
    "QUInt8Storage": "uint8",
    "QInt32Storage": "int32",
    "UntypedStorage": "",
}
ITEM_BYTES = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2,
    "int8": 1, "uint8": 1, "bool": 1, "complex64": 8, "complex128": 16, "uint16": 2, "uint32": 4,
    "uint64": 8, "float8_e4m3fn": 1, "float8_e5m2": 1,
}  # fmt: skip


@dataclass(frozen=True)
class LazyTensor:
    """A tensor in a file.

    Attributes:
        shape: sizes.
        dtype: torch's name for it, such as "float32".
        place: offset of its first element in the file, in bytes, and its strides in elements; None
            if it is not stored in one place.
        is_numpy: whether it is stored as a NumPy array.
    """

    shape: tuple[int, ...]
    dtype: str
    _read: Callable[[], torch.Tensor] = field(repr=False, compare=False)
    place: tuple[int, tuple[int, ...]] | None = None
    is_numpy: bool = False

    def load(self) -> torch.Tensor:
        """Read it: a contiguous copy in memory, in its own dtype.

        Raises `InputError` if the file is shorter than it should be.
        """
        return self._read()


def element_bytes(storage: StorageRef) -> int:
    """Bytes of one element of the storage; 1 for raw bytes.

    Raises `InputError` for an unknown storage class.
    """
    return ITEM_BYTES.get(_storage_dtype(storage), 1)


def _storage_dtype(storage: StorageRef) -> str:
    dtype = _STORAGE_DTYPES.get(storage.kind.name)
    if dtype is None:
        raise InputError("a storage of the type {kind} cannot be read", kind=str(storage.kind))
    return dtype


def lazy_tensor(ref: TensorRef, read_block: ReadBlock, start: int | None = None) -> LazyTensor:
    """Check a `TensorRef` against its storage, and make it readable through ``read_block``;
    ``start`` is the offset of the storage in the file, in bytes.

    Raises `InputError` if the tensor would reach outside its storage, or claims more elements
    than the storage has (no checkpoint needs that, and a few bytes could ask for terabytes).
    """
    storage = ref.storage
    dtype = _storage_dtype(storage)
    if ref.dtype is not None:
        dtype = ref.dtype.name
    item = ITEM_BYTES.get(dtype)
    if item is None:
        raise InputError(
            "a tensor of the type {kind} cannot be read", kind=str(ref.dtype or storage.kind)
        )
    first, available = storage.view or (0, storage.numel)
    if first + available > storage.numel:
        raise InputError("a view of a storage reaches outside it")
    if _storage_dtype(storage) == "":
        available //= item
    count = math.prod(ref.shape)
    last = ref.offset + sum((s - 1) * step for s, step in zip(ref.shape, ref.stride, strict=True))
    if count and last >= available:
        raise InputError("a tensor reaches outside its storage")
    if count > available:
        raise InputError("a tensor repeats the numbers of its storage, as expand() does")

    def read() -> torch.Tensor:
        import torch

        kind = getattr(torch, dtype)
        if not count:
            return torch.empty(ref.shape, dtype=kind)
        start = (first + ref.offset) * item
        span = (last - ref.offset + 1) * item
        data = read_block(storage, start, span)
        if len(data) < span:
            raise InputError("a tensor's data is cut off")
        flat = torch.frombuffer(data, dtype=kind)
        return flat.as_strided(ref.shape, ref.stride).contiguous()

    place = None if start is None else (start + (first + ref.offset) * item, ref.stride)
    return LazyTensor(ref.shape, dtype, read, place)


def is_storage_name(name: Name) -> bool:
    """Whether a pickle's name is one of torch's storage classes."""
    return name.module in ("torch", "torch.storage", "torch.cuda") and (
        name.name in _STORAGE_DTYPES or name.name == "TypedStorage"
    )
