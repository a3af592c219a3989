"""A CSV or TSV that lists images and their classes."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from bdshift.errors import InputError
from bdshift.images.sources.base import ImageFile, Skipped, Source
from bdshift.images.sources.folders import FolderImages, leads_out, read_file
from bdshift.images.sources.label_columns import LABELS, PATHS, classes_of
from bdshift.images.sources.label_files import DELIMITERS
from bdshift.images.sources.naming import MAX_NAME, check_count, has_image_suffix, shortened
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence

SUFFIXES = frozenset({".csv", ".tsv"})
_MAX_FILE_BYTES = 512 * 1024 * 1024
_MAX_FIRST_LINE = 65_536  # characters; the first line tells what separates the columns
_REPORT_EVERY = 8192  # files


def open_table(path: Path, job: JobContext = SILENT) -> Source:
    """A table whose paths lead to the images, or one that names images in folders below its own.

    Raises `InputError` if it is neither.
    """
    try:
        return TableImages(path, job)
    except InputError as error:
        try:
            return FolderImages(path.parent, job, table=path.name)
        except InputError:
            raise error from None


class TableImages(Source):
    """Files listed in a table, all of them below the folder that the table is in."""

    def __init__(self, path: Path, job: JobContext = SILENT) -> None:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError("is a table of more than {most} MiB", most=_MAX_FILE_BYTES >> 20)
        self._root = path.parent.resolve()
        rows, skipped = _rows(path)
        labels: dict[str, str] = {}
        below = _Below(self._root)
        for number, (name, label) in enumerate(rows, 1):
            name, reason = below.check(name)
            if reason is None and not label:
                reason = Sentence("it has no label")
            elif reason is None and name in labels:
                reason = Sentence("it is named twice")
            if reason is None:
                labels[name] = label
            else:
                skipped.append(Skipped(shortened(name), reason))
            if number % _REPORT_EVERY == 0:
                job.progress("Listing images", number, len(rows), "files")
        if not labels and skipped:
            raise InputError(
                "names no image that is there ({name}: {reason})",
                name=skipped[0].name, reason=skipped[0].reason,
            )  # fmt: skip
        if not labels:
            raise InputError("names no image that is there")
        folders, position = classes_of(labels.values())
        files = [ImageFile(name, position[label]) for name, label in labels.items()]
        super().__init__(folders, sorted(files, key=lambda file: (file.label, file.name)), skipped)

    def read(self, name: str, most: int) -> bytes:
        """See `Source`. Links are resolved here, since the file itself may be one."""
        path = self._root / name
        if leads_out(path, self._root):
            raise InputError("a link that leads out of the folder")
        return read_file(path, most)


class _Below:
    """Which names are below a folder and exist; a folder is listed once, not for each file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[str, frozenset[str] | None] = {}
        self._folded: dict[str, frozenset[str]] = {}

    def check(self, name: str) -> tuple[str, Sentence | None]:
        """The name inside the folder, and why it is left out, if it is."""
        outside = Sentence("leads out of the table's folder")
        missing = Sentence("no such file")
        if len(name) > MAX_NAME:
            return name, Sentence("its name is too long")
        whole = os.path.normpath(os.path.join(self._root, name.replace("\\", "/")))
        inside = whole.removeprefix(os.path.join(self._root, ""))
        if not name or "\0" in name or inside == whole:
            return name, outside
        *folders, file = inside.split(os.sep)
        folder = str(self._root)
        held = self._names(folder)
        for part in folders:  # each is looked up in its parent: a million may not be there
            if held is not None and part.casefold() not in self._folded[folder]:
                return Path(inside).as_posix(), missing
            folder = os.path.join(folder, part)
            held = self._names(folder)
            if held is None:
                return name, outside
        return Path(inside).as_posix(), None if held and file in held else missing

    def _names(self, folder: str) -> frozenset[str] | None:
        if folder not in self._held:
            held = self._held[folder] = self._list(folder)
            self._folded[folder] = frozenset(name.casefold() for name in held or ())
        return self._held[folder]

    def _list(self, folder: str) -> frozenset[str] | None:
        """Names in a folder; None if it leads elsewhere through a link."""
        if not Path(folder).resolve().is_relative_to(self._root):
            return None
        try:
            return frozenset(os.listdir(folder))
        except OSError:
            return frozenset()


def _rows(path: Path) -> tuple[list[tuple[str, str]], list[Skipped]]:
    """Path and label of each row without the header, and the rows that are too short."""
    skipped = []
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            first = stream.readline(_MAX_FIRST_LINE)
            stream.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            table = csv.reader(stream, delimiter=delimiter)
            head = next(table, [])
            picture, label, skip = _columns(head)
            rows = [] if skip else [(head[picture].strip(), head[label].strip())]
            for row in table:
                if len(row) > max(picture, label):
                    rows.append((row[picture].strip(), row[label].strip()))
                elif row:
                    reason = Sentence(
                        "line {number} has too few columns", {"number": table.line_num}
                    )
                    skipped.append(Skipped(shortened(path.name), reason))
                check_count(len(rows) + len(skipped))
    except csv.Error as error:
        raise InputError("is not a table ({reason})", reason=str(error)) from error
    return rows, skipped


def _columns(head: Sequence[str]) -> tuple[int, int, bool]:
    """Columns of paths and labels, and whether the first row is a header."""
    names = [cell.strip().lower() for cell in head]
    paths = [names.index(name) for name in PATHS if name in names]
    labels = [names.index(name) for name in LABELS if name in names]
    if paths and labels:
        return paths[0], labels[0], True
    if len(head) == 2 and has_image_suffix(head[0].strip()):
        return 0, 1, False
    raise InputError(
        "is not a table of images: that takes a column called path or filename and one called "
        "label or class, or two columns without a header; its first row is {row}",
        row=shortened(";".join(head)),
    )
