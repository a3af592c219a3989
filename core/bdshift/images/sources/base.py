"""What every kind of image set becomes: labeled names, and the bytes of a picture behind each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_FILES = 2_000_000
"""Of one set. Each takes some 150 bytes of memory while the set is open."""

MAX_UNPACKED = 512 * 1024 * 1024
"""Bytes that a compressed file may unpack to where it cannot be read in pieces."""

MAX_LABEL_BYTES = 256 * 1024 * 1024
"""Of a label array, which is read whole: one-hot rows of a thousand classes are large."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One picture: ``name`` is its path inside the collection, ``label`` its folder's position."""

    name: str
    label: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    reason: str


class Source(ABC):
    """The labeled pictures of one file or folder: listed, not yet read.

    Constructing one raises `InputError` with a sentence that lacks the path, which `open_source`
    puts before it, and what the libraries underneath raise.

    Attributes:
        folders: names of the classes; a file's ``label`` is an index into it.
        files: in order of folder, then name.
        skipped: what is there but was left out.
        notes: sentences about what was chosen for the user.
    """

    def __init__(
        self,
        folders: Sequence[str],
        files: Iterable[ImageFile],
        skipped: Iterable[Skipped] = (),
        notes: Iterable[str] = (),
    ) -> None:
        self.folders = tuple(folders)
        self.files = tuple(files)
        self.skipped = tuple(skipped)
        self.notes = tuple(notes)

    @abstractmethod
    def read(self, name: str, most: int) -> bytes:
        """An encoded picture, at most one byte longer than ``most``. Thread-safe.

        Raises `InputError` with a short reason, and what the libraries underneath raise.
        """
