"""Copies a file with new numbers in its tensors, whatever else it holds."""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import torch

from bdshift.checkpoints.layout import Layout
from bdshift.errors import InputError, UsageError

_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL_CRC, _CENTRAL_CRC = 14, 16  # bytes into a zip's headers


def write_patched(
    source: Path, stream: BytesIO, sha256: str, layout: Layout, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Copy ``source`` to ``stream`` with ``tensors``, by full key, in place of the old ones. In a
    zip, the checksums of changed entries are updated.

    Raises `UsageError` if a tensor is not stored in one place of the file, `InputError` if the
    source is gone, or no longer has the ``sha256`` that it had when it was read: the rest of it is
    copied unread.
    """
    for key in tensors:
        if key not in layout.tensors or layout.tensors[key].place is None:
            raise UsageError(
                "its {key} is stored inside its pickle, so the file cannot be written in its "
                "original format",
                key=key,
            )
    try:
        stream.write(source.read_bytes())
    except OSError as error:
        raise InputError(
            "{path}: cannot be copied ({reason})", path=source, reason=str(error)
        ) from error
    if hashlib.sha256(stream.getbuffer()).hexdigest() != sha256:
        raise InputError("{path}: has changed since it was read", path=source)
    changed = []
    for key, value in tensors.items():
        place = layout.tensors[key].place
        assert place is not None
        _put(stream, place, value)
        changed.append(place[0])
    if zipfile.is_zipfile(stream):
        _renew_checksums(stream, changed)


def _put(stream: BytesIO, place: tuple[int, tuple[int, ...]], value: torch.Tensor) -> None:
    start, stride = place
    if not value.numel():
        return
    steps = zip(value.shape, stride, strict=True)
    count = 1 + sum((size - 1) * step for size, step in steps)
    stream.seek(start)
    data = bytearray(stream.read(count * value.element_size()))
    if len(data) < count * value.element_size():
        raise InputError("the source has changed since it was read")
    torch.frombuffer(data, dtype=value.dtype).as_strided(value.shape, stride).copy_(value)
    stream.seek(start)
    stream.write(data)


def _renew_checksums(stream: BytesIO, changed: list[int]) -> None:
    """Update entries that contain a position in ``changed``; torch stores them uncompressed."""
    with zipfile.ZipFile(stream) as archive:
        infos, position = archive.infolist(), archive.start_dir
    for info in infos:
        stream.seek(position)
        fields = _CENTRAL.unpack(stream.read(_CENTRAL.size))
        name, extra, comment = fields[10:13]
        stream.seek(info.header_offset + 26)
        lengths = struct.unpack("<2H", stream.read(4))
        start = info.header_offset + 30 + sum(lengths)
        if any(start <= place < start + info.compress_size for place in changed):
            stream.seek(start)
            crc = struct.pack("<L", zlib.crc32(stream.read(info.file_size)))
            for header in (info.header_offset + _LOCAL_CRC, position + _CENTRAL_CRC):
                stream.seek(header)
                stream.write(crc)
        position += _CENTRAL.size + name + extra + comment
