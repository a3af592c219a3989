"""NumPy arrays inside pickles, which are read as data (`bdshift.pickle_data`)."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.pickle_values import Opaque

_NUMBERS = re.compile(r"[biuf][1248]")
_MAX_AXES = 4


def pickled_array(value: Any) -> NDArray[Any] | None:
    """A pickled array of numbers, as NumPy writes it: an empty one and its state, or, from protocol
    5 on, a buffer. None for anything else.
    """
    match value:
        case Opaque(
            what="numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct",
            state=(_, shape, dtype, fortran, data),
        ):
            order = "F" if fortran else "C"
        case Opaque(
            what="numpy.core.numeric._frombuffer" | "numpy._core.numeric._frombuffer",
            args=(data, dtype, shape, order),
        ):
            pass
        case _:
            return None
    kind = _dtype(dtype)
    raw = data.encode("latin-1", "replace") if isinstance(data, str) else data
    if kind is None or not isinstance(raw, bytes | bytearray) or not isinstance(shape, tuple):
        return None
    if len(shape) > _MAX_AXES or not all(type(size) is int and size > 0 for size in shape):
        return None
    if math.prod(shape) * kind.itemsize != len(raw):
        return None
    return np.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C")


def _dtype(value: Any) -> np.dtype[Any] | None:
    match value:
        case Opaque(what="numpy.dtype", args=(str() | bytes() as name, *_)):
            text = name.decode("latin-1") if isinstance(name, bytes) else name
            if not _NUMBERS.fullmatch(text):
                return None
            state = value.state
            big = isinstance(state, tuple) and len(state) > 1 and state[1] in (">", b">")
            return np.dtype((">" if big else "<") + text)
    return None
