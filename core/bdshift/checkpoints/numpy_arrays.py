"""NumPy arrays in a pickle, whose numbers are in the pickle itself, as lazy tensors."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from bdshift.checkpoints.tensors import MAX_DIMENSIONS, LazyTensor
from bdshift.errors import InputError
from bdshift.pickle_values import Opaque

if TYPE_CHECKING:
    import torch

_RECONSTRUCT = re.compile(r"numpy\.(core|_core)\.multiarray\._reconstruct")
_FROM_BUFFER = re.compile(r"numpy\.(core|_core)\.numeric\._frombuffer")
_DTYPES = {
    "f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32",
    "i8": "int64", "u1": "uint8", "b1": "bool",
}  # fmt: skip


def numpy_array(value: Opaque) -> LazyTensor | None:
    """The array that a recorded call would rebuild; None if it is another call, or an array of
    objects or text.

    Raises `InputError` if its bytes are not as many as its shape says.
    """
    state, args = value.state, value.args
    if _RECONSTRUCT.fullmatch(value.what) and isinstance(state, tuple) and len(state) == 5:
        _, shape, dtype, by_columns, data = state
    elif _FROM_BUFFER.fullmatch(value.what) and isinstance(args, tuple) and len(args) == 4:
        data, dtype, shape, order = args
        by_columns = order == "F"
    else:
        return None
    name = _dtype(dtype)
    if name is None or not isinstance(data, (bytes, bytearray)):
        return None
    kind, item = name
    if not _is_shape(shape) or math.prod(shape) * item != len(data):
        raise InputError("is damaged: a NumPy array is cut off")

    def read() -> torch.Tensor:
        import numpy as np
        import torch

        stored = dtype.args[0]
        flat = np.frombuffer(data, np.dtype(stored).newbyteorder(dtype.state[1]))
        array = flat.reshape(shape, order="F" if by_columns else "C")
        return torch.from_numpy(array.astype(np.dtype(stored), order="C", copy=True))

    return LazyTensor(tuple(shape), kind, read, is_numpy=True)


def _dtype(value: Any) -> tuple[str, int] | None:
    """Torch's name of a recorded ``numpy.dtype``, and the bytes of an element."""
    if not isinstance(value, Opaque) or value.what != "numpy.dtype" or not value.args:
        return None
    code, state = value.args[0], value.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
    if not isinstance(code, str) or code not in _DTYPES or order not in ("<", ">", "|", "="):
        return None
    return _DTYPES[code], int(code[1:])


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) <= MAX_DIMENSIONS
        and all(type(size) is int and size >= 0 for size in value)
    )
