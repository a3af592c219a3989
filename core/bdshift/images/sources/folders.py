"""A folder or a zip of images: one subfolder per class, or labels beside them."""

from __future__ import annotations

import os
import threading
import zipfile
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Literal

from bdshift.errors import InputError
from bdshift.images.sources.base import Skipped, Source
from bdshift.images.sources.label_files import MAX_BYTES
from bdshift.images.sources.listing import list_classes, list_labeled
from bdshift.images.sources.naming import (
    MAX_NAME,
    UNPACK_HINT,
    check_count,
    is_visible,
    member_parts,
    shortened,
)
from bdshift.images.sources.unsorted import holds_labels_of
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence
from bdshift.zip_data import check_method

_UTF8_FLAG = 0x800  # of a zip entry: its name is UTF-8, not in a DOS code page
_REPORT_EVERY = 8192  # files
_LEADS_OUT = Sentence("a link that leads out of the folder")
_MAX_BESIDE = 1000  # files next to the folder that are looked at


class FolderImages(Source):
    """Files in class folders on disk, or with their labels in a file beside them."""

    def __init__(self, path: Path, job: JobContext = SILENT, *, table: str | None = None) -> None:
        """With a ``table``, a file directly in the folder, it alone gives the labels."""
        names, skipped = _walk(path, job)

        def read_labels(name: str) -> bytes:
            job.raise_if_canceled()
            return read_file(path / name, MAX_BYTES)

        if table is not None:
            found = list_labeled(names, table, read_labels, skipped)
        else:
            found = list_classes(names, read_labels, skipped, beside=_beside(path))
        super().__init__(found.folders, found.files, found.skipped, found.notes)
        self._root, self._real = path / found.prefix, Path(os.path.realpath(path))

    def read(self, name: str, most: int) -> bytes:
        """See `Source`. What it leads to is looked at again: it may be a link by now."""
        path = self._root / name
        if leads_out(path, self._real):
            raise InputError(_LEADS_OUT)
        return read_file(path, most)


def leads_out(path: str | Path, real: Path) -> bool:
    """Whether a path, once all links in it are followed, is outside the folder ``real``, which must
    be without links itself.
    """
    return not Path(os.path.realpath(path)).is_relative_to(real)


def _beside(path: Path) -> list[str]:
    """Files next to a folder that hold its labels, by their names."""
    whole = path.absolute()
    with suppress(OSError), os.scandir(whole.parent) as entries:
        held = (entry for entry in islice(entries, _MAX_BESIDE) if is_visible(entry.name))
        return sorted(
            f"../{entry.name}"
            for entry in held
            if holds_labels_of(entry.name, whole.name) and entry.is_file(follow_symlinks=False)
        )
    return []


def read_file(path: Path, most: int) -> bytes:
    """A file's bytes, at most one more than ``most``.

    Raises `InputError` if it is not a plain file, and `OSError`.
    """
    if not path.is_file():
        raise InputError("not a file, or a broken link")
    with path.open("rb") as stream:
        return stream.read(most + 1)


def _walk(root: Path, job: JobContext) -> tuple[list[str], list[Skipped]]:
    """Relative names of all visible files, and the folders that could not be listed.

    Only links to folders directly below ``root`` are followed: a class folder may be one, and one
    level cannot loop. No link is followed out of ``root``, which may come from anyone; ``root``
    itself may be a link.
    """
    real = Path(os.path.realpath(root))
    names: list[str] = []
    skipped: list[Skipped] = []
    pending = [""]
    while pending:
        folder = pending.pop()
        job.raise_if_canceled()
        if len(folder) > MAX_NAME:
            skipped.append(Skipped(shortened(folder), Sentence("its name is too long")))
            continue
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if not is_visible(entry.name):
                        continue
                    name = folder + entry.name
                    kind = _kind(entry, real, follow=not folder)
                    if isinstance(kind, Sentence):
                        skipped.append(Skipped(name, kind))
                    elif kind == "folder":
                        pending.append(name + "/")
                    else:
                        names.append(name)
                        if len(names) % _REPORT_EVERY == 0:
                            check_count(len(names))
                            # The total is not known before the end: it is at least one more.
                            job.progress("Listing images", len(names), len(names) + 1, "files")
        except OSError as error:
            if not folder:
                raise
            reason = Sentence(
                "the folder cannot be read ({reason})", {"reason": str(error.strerror)}
            )
            skipped.append(Skipped(folder, reason))
    return names, skipped


def _kind(
    entry: os.DirEntry[str], real: Path, *, follow: bool
) -> Literal["folder", "file"] | Sentence:
    """A folder, a file, or why it is neither. A broken link counts as a file: reading it reports
    the error.
    """
    try:
        if entry.is_symlink() and leads_out(entry.path, real):
            return _LEADS_OUT
        if entry.is_dir(follow_symlinks=follow):
            return "folder"
        if entry.is_symlink() and entry.is_dir():
            return Sentence("a link to a folder inside a class folder is not followed")
    except OSError as error:
        return Sentence("a link that leads nowhere ({reason})", {"reason": str(error.strerror)})
    return "file"


class ZipImages(Source):
    """Entries of a zip of class folders, unpacked one by one in memory."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        entries: dict[str, zipfile.ZipInfo] = {}
        skipped = []
        for info in archive.infolist():
            parts, reason = member_parts(_name(info))
            if info.is_dir() or (reason is None and not all(map(is_visible, parts))):
                continue
            name = "/".join(parts)
            if reason is None:
                entries[name] = info  # of two entries with one name, zip readers take the last
            else:
                skipped.append(Skipped(shortened(name), reason))

        def read_labels(name: str) -> bytes:
            check_method(entries[name])
            with archive.open(entries[name]) as stream:
                return stream.read(MAX_BYTES + 1)

        found = list_classes(list(entries), read_labels, skipped, hint=UNPACK_HINT)
        super().__init__(found.folders, found.files, found.skipped, found.notes)
        self._archive = archive
        self._entries = {file.name: entries[found.prefix + file.name] for file in found.files}
        self._lock = threading.Lock()

    def read(self, name: str, most: int) -> bytes:
        """See `Source`."""
        if name not in self._entries:
            raise InputError("not in the zip")
        check_method(self._entries[name])
        with self._lock, self._archive.open(self._entries[name]) as stream:
            return stream.read(most + 1)


def _name(info: zipfile.ZipInfo) -> str:
    """The name of an entry. Many programs write UTF-8 without saying so; text in a DOS code page is
    hardly ever valid UTF-8 by chance.
    """
    if info.flag_bits & _UTF8_FLAG or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename
