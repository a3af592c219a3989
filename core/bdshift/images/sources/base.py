"""The common form of all image sets: labeled names, each with the bytes of an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bdshift.words import Sentence

MAX_FILES = 2_000_000
"""Files in one set. Each takes about 150 bytes of memory while the set is open."""

MAX_UNPACKED = 512 * 1024 * 1024
"""Bytes that a compressed file may unpack to where it cannot be read in pieces."""

MAX_LABEL_BYTES = 256 * 1024 * 1024
"""Size of a label array, which is read at once: one-hot rows of a thousand classes are large."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image: ``name`` is its path in the collection, ``label`` the position of its folder.

    If it is not ``labeled``, nothing says what it shows: its label is the class that the audited
    network takes it for, 0 until that is known.
    """

    name: str
    label: int
    labeled: bool = True


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    reason: Sentence


class Source(ABC):
    """The labeled images of one file or folder: listed, not yet read.

    Constructing one raises `InputError` without the path, which `open_source` puts in front of the
    sentence, and whatever the libraries underneath raise.

    Attributes:
        folders: names of the classes; a file's ``label`` is an index into it. None if the images
            have no labels.
        files: sorted by folder, then by name.
        skipped: files that were left out.
        notes: sentences about what was chosen for the user.
    """

    def __init__(
        self,
        folders: Sequence[str],
        files: Iterable[ImageFile],
        skipped: Iterable[Skipped] = (),
        notes: Iterable[Sentence] = (),
    ) -> None:
        self.folders = tuple(folders)
        self.files = tuple(files)
        self.skipped = tuple(skipped)
        self.notes = tuple(notes)

    @abstractmethod
    def read(self, name: str, most: int) -> bytes:
        """An encoded image, at most one byte longer than ``most``. Thread-safe.

        Raises `InputError` with a short reason, and whatever the libraries underneath raise.
        """
