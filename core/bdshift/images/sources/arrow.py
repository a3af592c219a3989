"""Arrow files as Hugging Face's ``datasets`` keeps them: a stream of record batches.

Arrow would unpack a compressed batch to whatever size it claims, and look up dictionaries that are
elsewhere in the file. ``datasets`` writes neither, so both are refused; the sizes of what is left
are those of the file.
"""

from __future__ import annotations

import importlib
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bdshift.errors import InputError
from bdshift.extras import pip_install
from bdshift.images.sources.arrays import class_numbers
from bdshift.images.sources.naming import check_count
from bdshift.images.sources.shards import KeptParts, Shard, leaf_of, pick_columns
from bdshift.jobs import SILENT, JobContext

_FILE = b"ARROW1\0\0"
_CONTINUES = b"\xff\xff\xff\xff"
_MAX_HEADER_BYTES = 16 * 1024 * 1024
_MAX_BATCH_BYTES = 512 * 1024 * 1024
_MAX_BATCHES = 1_000_000
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3  # kinds of messages
_COMPRESSION = 3  # field of a record batch

Span = tuple[int, int]


def is_arrow(head: bytes) -> bool:
    """Whether a file that starts like this is in one of Arrow's formats."""
    return head.startswith(_FILE) or (head[:4] == _CONTINUES and b"\0" in head[4:8])


def arrow_shard(path: Path, job: JobContext = SILENT) -> Shard:
    """Images and labels of an Arrow file.

    Raises `InputError` if pyarrow is not installed, and if it holds no labeled images.
    """
    try:
        arrow: Any = importlib.import_module("pyarrow")
    except ImportError as error:
        raise InputError(
            "is an Arrow file, which needs pyarrow: {command}", command=pip_install("pyarrow")
        ) from error
    try:
        return _ArrowShard(path, arrow, job)
    except (arrow.ArrowException, struct.error) as error:
        raise InputError("is damaged ({reason})", reason=str(error)) from error


class _ArrowShard(Shard):
    """Rows of an Arrow file, read one record batch at a time."""

    def __init__(self, path: Path, arrow: Any, job: JobContext) -> None:
        self._path, self._arrow = path, arrow
        spans = list(_messages(path))
        if not spans or spans[0][0] != _SCHEMA:
            raise InputError("is an Arrow file without a schema")
        self._schema = arrow.ipc.read_schema(arrow.py_buffer(self._bytes(spans[0][1])))
        self.column, label, self.names = pick_columns(self._schema)
        leaf_of(self._schema.field(self.column))
        self._spans = [span for kind, span in spans if kind == _RECORDS]
        self._lock = threading.Lock()
        self._parts = KeptParts()
        labels = []
        rows = 0
        for number, span in enumerate(self._spans):
            job.raise_if_canceled()
            labels.append(self._batch(span).column(label).to_numpy(zero_copy_only=False))
            rows += len(labels[-1])
            check_count(rows)
            job.progress("Listing images", number, len(self._spans), "files")
        self._starts = np.cumsum([0, *map(len, labels)])
        self.numbers = class_numbers(np.concatenate(labels) if labels else np.empty(0, np.int64))

    def _bytes(self, span: Span) -> bytes:
        start, end = span
        with self._path.open("rb") as stream:
            stream.seek(start)
            return stream.read(end - start)

    def _batch(self, span: Span) -> Any:
        found = self._arrow.ipc.read_record_batch(
            self._arrow.py_buffer(self._bytes(span)), self._schema
        )
        found.validate(full=True)
        return found

    def image(self, row: int) -> bytes:
        """See `Shard`."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._lock:
            pictures = self._parts.get(part)
            if pictures is None:
                pictures = self._pictures(part)
                self._parts.keep(part, pictures)
        data = pictures[row - int(self._starts[part])]
        if data is None:
            raise InputError("its bytes are not in the file")
        return data

    def _pictures(self, part: int) -> Sequence[bytes | None]:
        start, end = self._spans[part]
        pictures: list[bytes | None] = []
        size = 0
        for found in self._batch((start, end)).column(self.column):
            value = found.as_py()
            data = value.get("bytes") if isinstance(value, dict) else value
            size += len(data or b"")
            if size > end - start:
                raise InputError("its images are the same bytes many times")
            pictures.append(data)
        return pictures


def _messages(path: Path) -> Iterator[tuple[int, Span]]:
    """Kind and place of each message in the file.

    Raises `InputError` if one is compressed, uses a dictionary, or leads out of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        at = 8 if stream.read(8) == _FILE else 0
        for _ in range(_MAX_BATCHES):
            stream.seek(at)
            head = stream.read(8)
            length = int.from_bytes(head[4:8], "little")
            if len(head) < 8 or head[:4] != _CONTINUES or not length:
                return  # the end, or the index that follows it
            if length > min(_MAX_HEADER_BYTES, size):
                raise InputError("is an Arrow file that is cut short")
            header = stream.read(length)
            kind, body = _described(header)
            end = at + 8 + length + body
            if not 0 <= body <= _MAX_BATCH_BYTES or end > size:
                raise InputError("is an Arrow file that is cut short")
            yield kind, (at, end)
            at = end
    raise InputError("holds more than {most:,} batches", most=_MAX_BATCHES)


def _described(header: bytes) -> tuple[int, int]:
    """Kind of a message and bytes of its body: a FlatBuffers table of version, kind, header and
    length of the body.
    """
    (root,) = struct.unpack_from("<I", header, 0)
    kind_at, inner_at, body_at = (_field(header, root, number) for number in (1, 2, 3))
    kind = header[kind_at] if kind_at else 0
    body = struct.unpack_from("<q", header, body_at)[0] if body_at else 0
    if kind == _DICTIONARY:
        raise InputError("has columns with a dictionary, which are not read")
    if kind == _RECORDS and inner_at:
        inner = inner_at + struct.unpack_from("<I", header, inner_at)[0]
        if _field(header, inner, _COMPRESSION):
            raise InputError("is compressed; save it again with datasets, uncompressed")
    return kind, body


def _field(data: bytes, table: int, number: int) -> int:
    """Where a field of a FlatBuffers table is; 0 if it is not set."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    if vtable < 0:
        raise struct.error("a table leads out of the message")
    (length,) = struct.unpack_from("<H", data, vtable)
    if 4 + 2 * number >= length:
        return 0
    (offset,) = struct.unpack_from("<H", data, vtable + 4 + 2 * number)
    if offset and not 0 <= table + offset < len(data):
        raise struct.error("a field leads out of the message")
    return table + offset if offset else 0
