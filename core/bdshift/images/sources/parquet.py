"""Parquet as Hugging Face's ``datasets`` writes it: encoded images in a column, their labels in
another.

Only the images' bytes are read. A path next to them is where they once were on someone's disk.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.extras import pip_install
from bdshift.images.sources.arrays import class_numbers
from bdshift.images.sources.naming import check_count
from bdshift.images.sources.parquet_pages import page_sizes
from bdshift.images.sources.shards import KeptParts, Shard, leaf_of, pick_columns
from bdshift.words import Sentence

_MAX_FOOTER_BYTES = 64 * 1024 * 1024
_MAX_PAGE_BYTES = 65 * 1024 * 1024  # the largest image that is read, alone in its page
_MAX_GROUP_BYTES = 256 * 1024 * 1024  # images of one row group, which are read together
_BATCH_PICTURES = 2  # read at once: a dictionary may make each as large as a page
_BATCH_LABELS = 65_536


def parquet_shard(path: Path) -> Shard:
    """Images and labels of a Parquet file.

    Raises `InputError` if pyarrow is not installed, and if it holds no labeled images.
    """
    try:
        pq: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(
            "is a Parquet file, which needs pyarrow: {command}", command=pip_install("pyarrow")
        ) from error
    _check_footer(path)
    arrow: Any = importlib.import_module("pyarrow")
    try:
        return _ParquetShard(path, pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20))
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


class _ParquetShard(Shard):
    """Rows of a Parquet file, read one row group at a time."""

    def __init__(self, path: Path, file: Any) -> None:
        schema, about = file.schema_arrow, file.metadata
        check_count(about.num_rows)
        self._path, self._file = path, file
        self.column, label, self.names = pick_columns(schema)
        self._leaf = leaf_of(schema.field(self.column))
        self._columns = {about.schema.column(i).path: i for i in range(about.num_columns)}
        groups = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
        self._starts = np.cumsum([0, *groups])
        self._lock = threading.Lock()
        self._parts = KeptParts()
        self.numbers = class_numbers(self._labels(label))

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

    def image(self, row: int) -> bytes:
        """See `Shard`."""
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        refused = self._parts.refused
        with self._lock:
            if group in refused:
                raise InputError(refused[group])
            try:
                data = self._group(group)[row - int(self._starts[group])]
            except InputError as error:
                refused[group] = error.sentence
                raise
            except Exception as error:
                refused[group] = Sentence("unreadable ({reason})", {"reason": str(error)})
                raise
        if data is None:
            raise InputError("its bytes are not in the file")
        return data

    def _group(self, group: int) -> Sequence[bytes | None]:
        """The images of a row group. Files are read class by class, so each group is needed again
        and again: as many as fit are kept.
        """
        kept = self._parts.get(group)
        if kept is not None:
            return kept
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
        self._parts.keep(group, pictures)
        return pictures
