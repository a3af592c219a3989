"""Files that hold the labels of images, in any of the forms people keep them in, as rows of text.

A table, a list with one label per line, JSON, a NumPy array, a pickle and a tensor all become a
`Sheet`: labels alone are a sheet of one column. Nothing in a file is run, and what is read is
bounded.
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.sources.arrays import class_numbers
from bdshift.images.sources.naming import check_count
from bdshift.images.sources.npz import npy_header
from bdshift.images.sources.pickled import pickled_array
from bdshift.images.sources.tensors import is_tensor_file, tensor_file
from bdshift.images.sources.unpack import UNPACK_ERRORS
from bdshift.json_data import check_json, parse_json
from bdshift.pickle_data import read_pickle
from bdshift.pickle_values import PickleError
from bdshift.zip_data import check_method, open_zip

DELIMITERS = "\t;,|"
"""What may separate the columns of a table."""

MAX_BYTES = 64 * 1024 * 1024
"""Size of a file of labels that is read at once."""

_MAX_JSON_BYTES = 16 * 1024 * 1024
_MAX_JSON_VALUES = 2_000_000
_MAX_CELLS = 6_000_000
_MAX_COLUMNS = 1100  # one-hot, a thousand classes
_MAX_CELL = 4096  # characters; a pickle can name one long text a million times
_MAX_LEVELS = 3  # of dicts around the labels
_LISTS = "labels label targets target y classes annotations images data samples".split()


@dataclass(frozen=True)
class Sheet:
    """Rows of cells, perhaps with a header; ``classes`` are the names in their order, if the file
    gives one.
    """

    rows: Sequence[Sequence[str]]
    classes: tuple[str, ...] = ()


def read_sheet(name: str, data: bytes) -> Sheet | None:
    """The rows in a file of this name; None if it is of another kind.

    Raises `InputError` if it is too large or broken.
    """
    if is_tensor_file(data):
        return _of_value(tensor_file(data), 0)
    if data.startswith(b"\x93NUMPY"):
        return _of_npy(data)
    if data.startswith(b"PK\3\4"):
        return _of_npz(data)
    if data[:1] == b"\x80" and data[1:2] in b"\2\3\4\5":
        try:
            return _of_value(read_pickle(io.BytesIO(data)).value, 0)
        except PickleError as error:
            raise InputError("is a broken pickle ({reason})", reason=error.sentence) from error
    if b"\0" in data[:4096]:
        return None
    text = data.decode("utf-8-sig", "surrogateescape")
    if text.lstrip()[:1] in ("{", "["):
        return _of_json(text)
    return _of_text(text)


def _of_npy(data: bytes) -> Sheet | None:
    stream = io.BytesIO(data)
    found = npy_header(stream)
    if found is None or found.dtype.kind not in "biufUS":
        return None
    size = found.dtype.itemsize
    for length in found.shape:
        size *= length
    if size == 0:
        return None
    if size != len(data) - found.offset:
        raise InputError("is cut short")
    array = np.frombuffer(data, found.dtype, offset=found.offset)
    if (
        found.dtype.kind == "U"
        and array.view(f"{found.dtype.str[0]}u4").max(initial=0) > sys.maxunicode
    ):
        raise InputError("holds broken text")
    return _of_value(array.reshape(found.shape, order="F" if found.fortran else "C"), 0)


def _of_npz(data: bytes) -> Sheet | None:
    """The array of labels in an .npz, or the only one."""
    try:
        with open_zip(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            usual = [name for name in names if name.removesuffix(".npy") in _LISTS]
            if len(usual or names) != 1:
                return None
            info = archive.getinfo((usual or names)[0])
            check_method(info)
            with archive.open(info) as stream:
                inner = stream.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, *UNPACK_ERRORS) as error:
        raise InputError("is a broken zip ({reason})", reason=str(error)) from error
    if not inner.startswith(b"\x93NUMPY") or len(inner) > MAX_BYTES:
        return None
    return _of_npy(inner)


def _of_value(value: Any, level: int) -> Sheet | None:
    """Labels in what a pickle or JSON holds: a list or array of them, rows, a dict of names and
    labels, or a dict of one of these.
    """
    array = value if isinstance(value, np.ndarray) else pickled_array(value)
    if array is not None:
        return _of_array(array)
    if isinstance(value, list | tuple):
        return _of_list(value)
    if not isinstance(value, dict) or level == _MAX_LEVELS:
        return None
    if {"images", "annotations", "categories"} <= value.keys():
        return _of_coco(value)
    if len(value) > 1 and all(isinstance(v, str | int) for v in value.values()):
        return _sheet([str(key), _text(one)] for key, one in value.items())
    found = (value[key] for key in _LISTS if key in value)
    return next((sheet for one in found if (sheet := _of_value(one, level + 1))), None)


def _of_array(array: NDArray[Any]) -> Sheet | None:
    if array.dtype.kind in "US" and array.ndim == 1:
        return _sheet([_text(value)] for value in array.tolist())
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2) or not array.size:
        return None
    return _sheet([str(number)] for number in class_numbers(array).tolist())


def _of_list(values: Sequence[Any]) -> Sheet | None:
    if not values:
        return None
    if all(isinstance(value, str | bytes | int) for value in values):
        return _sheet([_text(value)] for value in values)
    if all(isinstance(value, dict) for value in values):
        keys = [str(key) for key in values[0]][:_MAX_COLUMNS]
        rows = ([_text(value.get(key, "")) for key in keys] for value in values)
        return _sheet(_chain(keys, rows))
    if all(isinstance(value, list | tuple) and len(value) == 2 for value in values):
        return _sheet([_text(cell) for cell in value] for value in values)
    return None


def _chain(first: list[str], rest: Iterable[list[str]]) -> Iterable[list[str]]:
    yield first
    yield from rest


def _text(value: Any) -> str:
    if isinstance(value, str | bytes) and len(value) > _MAX_CELL:
        return ""  # neither a name nor a label
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else ""


def _of_coco(value: dict[str, Any]) -> Sheet | None:
    """Images with boxes or captions, as COCO lists them: those whose boxes are all of one class."""
    parts = [value[key] for key in ("images", "annotations", "categories")]
    if not all(isinstance(p, list) and all(isinstance(e, dict) for e in p) for p in parts):
        return None
    images, annotations, categories = parts
    names = {_text(one.get("id")): _text(one.get("name")) for one in categories}
    classes: dict[str, set[str]] = {}
    for one in annotations:
        label = names.get(_text(one.get("category_id")))
        if label:
            classes.setdefault(_text(one.get("image_id")), set()).add(label)
    labels = ((one, classes.get(_text(one.get("id")), set())) for one in images)
    rows = ([_text(one.get("file_name")), *held] for one, held in labels if len(held) == 1)
    found = _sheet(rows)
    if found is None or len(set(names.values())) < len(names):
        return None
    ordered = sorted(names, key=lambda key: (len(key), key) if key.isdecimal() else (99, key))
    return Sheet(found.rows, tuple(names[key] for key in ordered))


def _of_json(text: str) -> Sheet | None:
    """JSON, or JSON lines."""
    if len(text) > _MAX_JSON_BYTES:
        raise InputError("is JSON of more than {most} MiB", most=_MAX_JSON_BYTES >> 20)
    check_json(text, _MAX_JSON_VALUES)
    with suppress(InputError):
        return _of_value(parse_json(text, _MAX_JSON_VALUES), 0)
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return _of_list(parse_json(f"[{','.join(lines)}]", 2 * _MAX_JSON_VALUES))
    except InputError:
        return None


def _of_text(text: str) -> Sheet | None:
    """CSV with its usual delimiters, columns separated by spaces, or a list."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return None
    delimiter = max(DELIMITERS, key=lines[0].count)
    if delimiter in lines[0]:
        try:
            return _sheet(
                [cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)
            )
        except csv.Error as error:
            raise InputError("is not a table ({reason})", reason=str(error)) from error
    return _sheet(line.split() for line in lines)


def _sheet(rows: Iterable[Sequence[str]]) -> Sheet | None:
    kept = []
    cells = characters = 0
    for row in rows:
        if row:
            kept.append(row[:_MAX_COLUMNS])
            cells += len(kept[-1])
            characters += sum(map(len, kept[-1]))
        if cells > _MAX_CELLS:
            raise InputError("holds more than {most:,} cells", most=_MAX_CELLS)
        check_count(len(kept))
        if characters > MAX_BYTES:  # more than the file itself has
            raise InputError("repeats its labels or names again and again")
    return Sheet(kept) if kept else None
