"""Dataclass array fields that declare their shape.

Every array read from an audit file is checked against it, so shapes need not be taken on trust.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np

_KEY = "array"


@dataclass(frozen=True)
class Shape:
    """Shape of an array field: sizes, each a number or a letter that stands for the same number in
    all fields of one file (C classes, d neurons, N images), and its dtype.
    """

    sizes: tuple[int | str, ...]
    dtype: np.dtype[Any]


def array(*sizes: int | str, dtype: Any = np.float64, default: Any = MISSING) -> Any:
    """A dataclass field that holds an array of this shape; or None, if that is the default."""
    return field(default=default, metadata={_KEY: Shape(sizes, np.dtype(dtype))})


_fields: dict[Any, dict[str, Shape]] = {}


def array_fields(kind: Any) -> dict[str, Shape]:
    """The array fields of a dataclass, by name."""
    if kind not in _fields:
        _fields[kind] = _find(kind)
    return _fields[kind]


def _find(kind: Any) -> dict[str, Shape]:
    return {one.name: one.metadata[_KEY] for one in fields(kind) if _KEY in one.metadata}


def freeze(thing: Any) -> None:
    """Make all arrays of a dataclass read-only."""
    for one in _arrays_of(thing):
        one.flags.writeable = False


def _arrays_of(thing: Any) -> Iterator[np.ndarray]:
    for name in array_fields(type(thing)):
        value = getattr(thing, name)
        if value is not None:
            yield value
