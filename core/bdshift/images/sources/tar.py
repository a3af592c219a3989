"""A tar of class folders, plain or compressed; never unpacked to disk.

Python's `tarfile` reads into memory whatever length a header claims, and forged headers have sent
it into endless loops, so the few fields that are needed are read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bdshift.errors import InputError
from bdshift.images.sources.base import MAX_UNPACKED, Skipped, Source
from bdshift.images.sources.label_files import MAX_BYTES
from bdshift.images.sources.listing import list_classes
from bdshift.images.sources.naming import (
    UNPACK_HINT,
    check_count,
    has_image_suffix,
    is_visible,
    member_parts,
    shortened,
)
from bdshift.images.sources.unpack import Forward, is_compressed, open_unpacked
from bdshift.images.sources.unsorted import may_hold_labels
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence

_BLOCK = 512
_MAX_EXTENDED_BYTES = 1024 * 1024  # names and attributes in front of one member
_MAX_PICTURE_BYTES = 64 * 1024 * 1024
_REPORT_EVERY = 8192  # files
_MAX_RECORDS = 64  # in one extended header
_MAX_OTHERS = 100_000  # headers that are not of files: a kilobyte unpacks to a thousand of them
_OTHERS = 4  # for each file: its name, its attributes, what macOS adds to it
_FILES = (b"0", b"7", b"\0")
_NO_FILES = {
    b"1": Sentence("a hard link in an archive is not followed"),
    b"2": Sentence("a link in an archive is not followed"),
    b"3": Sentence("a device"),
    b"4": Sentence("a device"),
    b"6": Sentence("a pipe"),
}


@dataclass(frozen=True)
class _Member:
    """``reason`` is why it cannot be an image, or None."""

    name: str
    start: int
    size: int
    reason: Sentence | None


class TarImages(Source):
    """Members in class folders. In a plain tar, images are read in place; those of a compressed
    one are kept in memory, since it can only be read from its start.
    """

    def __init__(self, path: Path, job: JobContext = SILENT) -> None:
        self._path = path
        with path.open("rb") as opened:
            packed = is_compressed(opened.read(8))
        spans: dict[str, tuple[int, int]] = {}
        kept: dict[str, bytes] = {}
        skipped = []
        too_long = Sentence(
            "unpacks to more than {most} MiB; unpack it to a folder, or to a plain .tar, and open "
            "that",
            {"most": MAX_UNPACKED >> 20},
        )
        end = path.stat().st_size
        with open_unpacked(path) as stream:
            forward = Forward(stream, MAX_UNPACKED if packed else None, too_long)
            for member in _members(forward):
                parts, reason = member_parts(member.name)
                name = "/".join(parts)
                reason = reason or member.reason
                if reason is None and not all(map(is_visible, parts)):
                    continue
                if reason is None and not packed and member.start + member.size > end:
                    reason = Sentence("the archive is cut short")
                if reason is None and packed and member.size > _MAX_PICTURE_BYTES:
                    reason = Sentence("larger than 64 MiB")
                if reason is not None:
                    skipped.append(Skipped(shortened(name), reason))
                    continue
                spans[name] = (member.start, member.size)
                if packed and (has_image_suffix(name) or _holds_labels(name, member.size)):
                    kept[name] = forward.read(member.size)
                if len(spans) % _REPORT_EVERY == 0:
                    check_count(len(spans))
                    job.progress("Listing images", len(spans), len(spans) + 1, "files")

        def read_labels(name: str) -> bytes:
            return kept.get(name, b"") if packed else _in_place(path, *spans[name], MAX_BYTES)

        found = list_classes(list(spans), read_labels, skipped, hint=UNPACK_HINT)
        super().__init__(found.folders, found.files, found.skipped, found.notes)
        names = [(file.name, found.prefix + file.name) for file in found.files]
        self._spans = {name: spans[whole] for name, whole in names}
        self._kept = {name: kept[whole] for name, whole in names} if packed else None

    def read(self, name: str, most: int) -> bytes:
        """See `Source`."""
        if name not in self._spans:
            raise InputError("not in the archive")
        if self._kept is not None:
            return self._kept[name]
        return _in_place(self._path, *self._spans[name], most)


def _in_place(path: Path, start: int, size: int, most: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start)
        data = stream.read(min(size, most + 1))
    if len(data) < min(size, most + 1):
        raise InputError("the archive is cut short")
    return data


def _holds_labels(name: str, size: int) -> bool:
    return size <= MAX_BYTES and may_hold_labels(name)


def is_tar(head: bytes) -> bool:
    """Whether a file that starts with these 512 bytes is a tar: the checksum of its first header is
    right.
    """
    return len(head) == _BLOCK and any(head) and _checksum_fits(head)


def _checksum_fits(header: bytes) -> bool:
    """Compares the sum of a header's bytes, with the checksum itself as spaces; some old programs
    sum signed bytes.
    """
    claimed = _number(header[148:156])
    rest = header[:148] + b" " * 8 + header[156:]
    unsigned = sum(rest)
    return claimed == unsigned or claimed == unsigned - 256 * sum(byte > 127 for byte in rest)


def _number(field: bytes) -> int | None:
    """Octal digits, or base 256 for larger numbers; None if it is neither."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.translate(None, b"01234567"):
        return None
    return int(digits or b"0", 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _members(stream: Forward) -> Iterator[_Member]:
    """What a tar holds, except for folders. The caller may read from a member before it asks for
    the next one.

    Ends at the closing zeros, the end of the file, or an invalid header, which is yielded as a
    member with a reason.
    """
    long_name: str | None = None
    attributes: dict[str, str] = {}
    headers = files = 0
    while len(header := stream.read(_BLOCK)) == _BLOCK and any(header):
        kind = header[156:157]
        size = _number(header[124:136])
        extended = kind in (b"x", b"L", b"K", b"g")
        headers += 1
        files += bool(size) and kind in _FILES
        if headers > _MAX_OTHERS + _OTHERS * files:
            raise InputError(
                "holds more than {most:,} entries that are not files; unpack it to a folder and "
                "open that",
                most=_MAX_OTHERS,
            )
        if not _checksum_fits(header) or size is None or (extended and size > _MAX_EXTENDED_BYTES):
            broken = Sentence("the archive is broken from here on")
            yield _Member("…", stream.position, 0, broken)
            return
        if extended:
            data = stream.read(size)
            stream.skip(-size % _BLOCK)
            if kind == b"L":
                long_name = _text(data)
            elif kind == b"x":
                attributes = _attributes(data)
            continue
        name = _text(header[:100])
        if header[257:263] == b"ustar\0" and (folder := _text(header[345:500])):
            name = f"{folder}/{name}"
        name = attributes.get("path") or long_name or name
        declared = attributes.get("size", "")
        if declared.isascii() and declared.isdecimal() and len(declared) < 19:
            size = int(declared)
        if kind in _NO_FILES:
            size = 0  # whatever the header says: nothing follows
        start = stream.position
        if kind != b"5":
            yield _Member(name, start, size, _reason(kind, attributes))
        stream.skip(start + size + -size % _BLOCK - stream.position)
        long_name, attributes = None, {}


def _reason(kind: bytes, attributes: dict[str, str]) -> Sentence | None:
    if kind in _NO_FILES:
        return _NO_FILES[kind]
    if kind not in _FILES or any(key.startswith("GNU.sparse") for key in attributes):
        return Sentence("not a plain file")
    return None


def _attributes(data: bytes) -> dict[str, str]:
    """The records of an extended header, each ``length key=value`` with a line end."""
    found = {}
    position = 0
    for _ in range(_MAX_RECORDS):
        if position >= len(data):
            break
        digits = data[position : position + 20].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        end = position + length
        if length <= len(digits) + 1 or end > len(data):
            break  # broken: a record is longer than the digits of its length
        key, _, value = data[position + len(digits) + 1 : end - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        position = end
    return found
