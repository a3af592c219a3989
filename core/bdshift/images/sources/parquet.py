"""Parquet as Hugging Face's ``datasets`` writes it: encoded images in a column, their labels in
another.

Only the images' bytes are read. A path next to them is where they once were on someone's disk.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.sources.arrays import class_numbers, name_classes
from bdshift.images.sources.base import ImageFile, Source
from bdshift.images.sources.naming import check_count
from bdshift.images.sources.parquet_pages import page_sizes
from bdshift.words import Sentence

_IMAGES = "image img picture x".split()
_LABELS = "label labels fine_label target class y digit".split()
_MAX_FOOTER_BYTES = 64 * 1024 * 1024
_MAX_PAGE_BYTES = 65 * 1024 * 1024  # the largest image that is read, alone in its page
_MAX_GROUP_BYTES = 256 * 1024 * 1024  # images of one row group, which are read together
_MAX_KEPT_BYTES = 128 * 1024 * 1024  # images of row groups that are kept for later requests
_BATCH_PICTURES = 2  # read at once: a dictionary may make each as large as a page
_BATCH_LABELS = 65_536
_MAX_LISTED = 12  # columns in an error


def open_parquet(path: Path) -> Source:
    """Images and labels of a Parquet file.

    Raises `InputError` if pyarrow is not installed, and if it holds no labeled images.
    """
    try:
        pq: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            'is a Parquet file, which needs pyarrow: pip install "bdshift[parquet]"'
        ) from error
    _check_footer(path)
    arrow: Any = importlib.import_module("pyarrow")
    try:
        return _ParquetImages(path, pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20))
    except arrow.ArrowException as error:
        raise InputError("is damaged ({reason})", reason=str(error)) from error


def _check_footer(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - 8))
        tail = stream.read(8)
    if tail[4:] != b"PAR1":
        raise InputError("is a Parquet file that is cut short or encrypted")
    if int.from_bytes(tail[:4], "little") > min(_MAX_FOOTER_BYTES, size):
        raise InputError("claims metadata larger than the file can hold")


class _ParquetImages(Source):
    """Images named like "image/00042" by column and row, read one row group at a time."""

    def __init__(self, path: Path, file: Any) -> None:
        schema, about = file.schema_arrow, file.metadata
        check_count(about.num_rows)
        features = _features(schema.metadata or {})
        self._path, self._file = path, file
        column = _pick(schema.names, features, "Image", _IMAGES)
        label = _pick(schema.names, features, "ClassLabel", _LABELS)
        columns = tuple(schema.names[:_MAX_LISTED])
        if column is None:
            raise InputError(
                "has no column that is clearly the image's ({usual}); its columns are {columns}",
                usual=_IMAGES[0], columns=columns,
            )  # fmt: skip
        if label is None:
            raise InputError(
                "has no column that is clearly the label's ({usual}); its columns are {columns}",
                usual=_LABELS[0], columns=columns,
            )  # fmt: skip
        self._column = column
        self._leaf = _leaf(schema.field(self._column))
        if not str(schema.field(label).type).startswith(("int", "uint", "bool")):
            raise InputError("its column {column} holds no class numbers", column=label)
        self._columns = {about.schema.column(i).path: i for i in range(about.num_columns)}
        groups = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
        self._starts = np.cumsum([0, *groups])
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, list[bytes | None]] = OrderedDict()
        self._refused: dict[int, Sentence] = {}  # why, by group: each is tried only once
        names = features.get(label, {}).get("names")
        known = (
            names if isinstance(names, list) and all(isinstance(n, str) for n in names) else None
        )
        folders, positions = name_classes(class_numbers(self._labels(label)), known)
        order = np.argsort(positions, kind="stable").tolist()
        files = [ImageFile(f"{self._column}/{row:05d}", int(positions[row])) for row in order]
        super().__init__(folders, files)

    def _labels(self, label: str) -> NDArray[Any]:
        for group in range(len(self._starts) - 1):
            self._check_pages(group, label)
        parts = [
            batch.column(0).to_numpy(zero_copy_only=False)
            for batch in self._file.iter_batches(_BATCH_LABELS, columns=[label], use_threads=False)
        ]
        labels = np.concatenate(parts) if parts else np.empty(0, np.int64)
        if len(labels) != self._starts[-1]:
            raise InputError("its columns are of different lengths")
        return labels

    def _check_pages(self, group: int, leaf: str) -> None:
        if leaf not in self._columns:
            raise InputError("its column {column} is not stored as one", column=leaf)
        chunk = self._file.metadata.row_group(group).column(self._columns[leaf])
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
            start = min(start, chunk.dictionary_page_offset)
        if start < 0 or start + chunk.total_compressed_size > self._path.stat().st_size:
            raise InputError("a column leads out of the file")
        total = 0
        for size in page_sizes(self._path, start, chunk.total_compressed_size):
            total += size
            if size > _MAX_PAGE_BYTES or total > _MAX_GROUP_BYTES:
                raise InputError(
                    "a row group unpacks to more than {group} MiB, or one of its pages to more "
                    "than {page} MiB; write it again with smaller row groups",
                    group=_MAX_GROUP_BYTES >> 20, page=_MAX_PAGE_BYTES >> 20,
                )  # fmt: skip

    def read(self, name: str, most: int) -> bytes:
        """See `Source`."""
        column, _, number = name.rpartition("/")
        row = int(number) if number.isdecimal() and len(number) < 10 else -1
        if column != self._column or not 0 <= row < self._starts[-1]:
            raise InputError("not in the file")
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._lock:
            if group in self._refused:
                raise InputError(self._refused[group])
            try:
                data = self._group(group)[row - int(self._starts[group])]
            except InputError as error:
                self._refused[group] = error.sentence
                raise
            except Exception as error:
                self._refused[group] = Sentence("unreadable ({reason})", {"reason": str(error)})
                raise
        if data is None:
            raise InputError("its bytes are not in the file")
        return data[: most + 1]

    def _group(self, group: int) -> list[bytes | None]:
        """The images of a row group. Files are read class by class, so each group is needed again
        and again: as many as fit are kept.
        """
        if group in self._kept:
            self._kept.move_to_end(group)
            return self._kept[group]
        self._check_pages(group, self._leaf)
        pictures: list[bytes | None] = []
        size = 0
        for batch in self._file.iter_batches(
            _BATCH_PICTURES, row_groups=[group], columns=[self._leaf], use_threads=False
        ):
            for value in batch.column(0).to_pylist():
                data = value.get("bytes") if isinstance(value, dict) else value
                size += len(data or b"")
                if size > _MAX_GROUP_BYTES:
                    raise InputError(
                        "a row group holds more than {most} MiB of images",
                        most=_MAX_GROUP_BYTES >> 20,
                    )
                pictures.append(data)
        if len(pictures) != int(self._starts[group + 1] - self._starts[group]):
            raise InputError("its columns are of different lengths")
        self._kept[group] = pictures
        held = sum(len(data or b"") for kept in self._kept.values() for data in kept)
        while held > _MAX_KEPT_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            held -= sum(len(data or b"") for data in dropped)
        return pictures


def _features(metadata: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """What ``datasets`` recorded about each column; empty if it did not write the file."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def _pick(
    columns: list[str], features: dict[str, dict[str, Any]], kind: str, usual: list[str]
) -> str | None:
    """The column of that kind, the usual names first; None if it is unclear which one it is."""
    declared = [name for name in columns if features.get(name, {}).get("_type") == kind]
    for name in usual:
        if name in (declared or columns):
            return name
    return declared[0] if len(declared) == 1 else None


def _leaf(field: Any) -> str:
    """Path of the bytes: the column itself, or its field ``bytes``."""
    binary = ("binary", "large_binary", "binary_view")
    if str(field.type) in binary:
        return str(field.name)
    if field.type.num_fields and field.type.get_field_index("bytes") >= 0:
        child = field.type.field(field.type.get_field_index("bytes"))
        if str(child.type) in binary:
            return f"{field.name}.bytes"
    raise InputError(
        "its column {column} holds no encoded images ({kind})",
        column=str(field.name), kind=str(field.type),
    )  # fmt: skip
