"""torch's zip container: which bytes of the file are the pickle, and which are each storage.

The zip must be exactly what ``torch.save`` writes: nothing compressed, no duplicates, nothing that
overlaps or reaches past the end of the file, no second directory. A file that two zip readers could
read in two ways is refused, and no entry can expand to more bytes than the file has.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, BinaryIO, NoReturn

from bdshift.checkpoints.foreign_files import CHECKPOINTS
from bdshift.errors import InputError
from bdshift.words import Sentence
from bdshift.zip_data import open_zip

MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
"""Size of the zip's list of entries: about 600 000 storages."""

EXPORTED = "data/weights/model_weights_config.json"
"""Names the tensors of a ``torch.export`` archive; its presence identifies one."""

KERAS_DESCRIPTION, KERAS_WEIGHTS = "config.json", "model.weights.h5"
"""What a .keras archive holds; it is as strict a zip as torch's."""

_PROGRAM = re.compile(r"^[^/]+/code/")
"""TorchScript's program, the only part that is compressed. It is never read."""

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LOCAL = struct.Struct("<4s5H3L2H")

Span = tuple[int, int]
"""Start and end of a part of the file, in bytes."""


def _refuse(reason: str, /, **values: Any) -> NoReturn:
    raise InputError("the zip is not as torch writes it: {reason}", reason=Sentence(reason, values))


def _check_end(stream: BinaryIO, size: int) -> None:
    """The directory must be at the end of the file, without a comment, and of a sane size."""
    stream.seek(max(0, size - 22))
    end = stream.read(22)
    if end[:4] != _END or end[20:] != b"\0\0":
        _refuse("it does not end with its directory (the download may have been cut short)")
    length, offset = struct.unpack("<2L", end[12:20])
    stream.seek(max(0, size - 42))
    locator = stream.read(20)
    tail = 22
    if locator[:4] == _LOCATOR64:
        (position,) = struct.unpack("<Q", locator[8:16])
        if position + 56 + 20 + 22 != size:
            _refuse("its 64-bit directory is not where it says")
        stream.seek(position)
        record = stream.read(56)
        if record[:4] != _END64:
            _refuse("its 64-bit directory is broken")
        length64, offset64 = struct.unpack("<2Q", record[40:56])
        if (length, offset) not in ((length64, offset64), (0xFFFFFFFF, 0xFFFFFFFF)) and (
            length not in (length64, 0xFFFFFFFF) or offset not in (offset64, 0xFFFFFFFF)
        ):
            _refuse("its two directories differ")
        length, offset = length64, offset64
        tail = 56 + 20 + 22
    if length > MAX_DIRECTORY_BYTES:
        _refuse("its directory is too large")
    if offset + length + tail != size:
        _refuse("its directory is not where it says")


def _data_span(stream: BinaryIO, info: zipfile.ZipInfo, size: int) -> tuple[Span, Span]:
    """Where the whole entry and its data are, checked against its local header."""
    if not 0 <= info.header_offset < size:
        _refuse("an entry is outside the file")
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        _refuse("an entry has no header")
    _, _, flags, method, _, _, _, _, _, name_length, extra_length = _LOCAL.unpack(header)
    name = stream.read(name_length)
    encoded = info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437", "replace")
    if name != encoded or method != info.compress_type or flags & 0x1:
        _refuse("an entry's header differs from the directory")
    start = info.header_offset + _LOCAL.size + name_length + extra_length
    end = start + info.compress_size
    if end > size:
        _refuse("an entry reaches past the end of the file")
    return (info.header_offset, end), (start, end)


def torch_zip_entries(stream: BinaryIO, size: int) -> Mapping[str, Span]:
    """The span of the file that each entry's data takes up, by its name below the archive's root:
    ``data.pkl``, ``data/0``, ``byteorder``, …

    Raises `InputError` if it is another kind of zip, or not strictly what torch writes.
    """
    _check_end(stream, size)
    try:
        with open_zip(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeError) as error:
        raise InputError(
            "the zip is not as torch writes it: {reason}", reason=str(error)
        ) from error
    spans: dict[str, Span] = {}
    taken: list[Span] = []
    for info in infos:
        unread = _PROGRAM.search(info.filename)
        stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
        if not stored and not unread:
            _what_else(infos)
            _refuse("{name!r} is compressed", name=info.filename)
        whole, data = _data_span(stream, info, size)
        if info.filename in spans:
            _refuse("{name!r} is in it twice", name=info.filename)
        if not unread:
            spans[info.filename] = data
        taken.append(whole)
    taken.sort()
    if any(before[1] > after[0] for before, after in pairwise(taken)):
        _refuse("entries overlap")
    programs = [name for name in spans if name.endswith(EXPORTED)]
    if len(programs) == 1:
        root = programs[0][: -len(EXPORTED)]
        return {name[len(root) :]: span for name, span in spans.items() if name.startswith(root)}
    if {KERAS_DESCRIPTION, KERAS_WEIGHTS} <= spans.keys():
        return spans
    pickles = [name for name in spans if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        _what_else(infos)
        _refuse("it holds no data.pkl, or several")
    root = pickles[0][: -len("data.pkl")]
    _what_else(infos, root)
    return {name[len(root) :]: span for name, span in spans.items() if name.startswith(root)}


def _what_else(infos: list[zipfile.ZipInfo], root: str = "") -> None:
    """Name other common kinds of zips, so that the user knows what to do."""
    names = {info.filename for info in infos}
    if any(name.endswith(".npy") for name in names):
        raise InputError("is a NumPy archive, not a torch checkpoint")
    if KERAS_WEIGHTS in names:
        raise InputError(
            "is a Keras model whose archive is compressed or incomplete; save it again with "
            "model.save()"
        )
    if f"{root}serialized_exported_program.json" in names or any(
        name.endswith("serialized_state_dict.pt") for name in names
    ):
        raise InputError(
            "is a torch.export archive from before torch 2.8; save the model's state_dict() instead"
        )
    if not any(name.endswith("data.pkl") for name in names):
        inside = [name for name in names if name.lower().endswith(CHECKPOINTS)]
        if inside:
            raise InputError(
                "is a zip archive; unpack it and give the checkpoint inside, {name}",
                name=sorted(inside)[0][-80:],
            )
        raise InputError("is a zip archive, but not a torch checkpoint")
