"""A set of images, usually labeled, in any container: opened, listed, read one image at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError, UsageError
from bdshift.images.decode import decode_image
from bdshift.images.framing import Framing
from bdshift.images.preprocessing import GivenReading
from bdshift.images.sources.base import ImageFile, Skipped, Source
from bdshift.images.sources.choose import open_source
from bdshift.jobs import SILENT, JobContext
from bdshift.words import Sentence, words

__all__ = [
    "MAX_FILE_BYTES",
    "ImageCollection",
    "ImageFile",
    "Skipped",
    "open_images",
    "sample_files",
]

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A larger entry is skipped unread: no image of a clean set is this large, and a zip can lie
about sizes.
"""


_NEEDS_LABELS = words(
    "{path}: its images have no labels, and this needs them: put the images of each class in a "
    "folder of its own, or put a table with their labels beside them (labels.csv with the columns "
    "filename and label)",
    ja="{path}：画像にラベルがありませんが、この操作にはラベルが必要です。クラスごとにフォルダーを"
    "分けるか、ラベルの表（filename 列と label 列のある labels.csv）を画像のそばに置いてください",
)


def needs_labels(path: str | Path) -> Sentence:
    """What to say where images have no labels and something needs them."""
    return Sentence(_NEEDS_LABELS, {"path": str(path)})


class ImageCollection:
    """The files of a folder, archive or array file; opened, listed, not yet decoded.

    Attributes:
        path: what was opened.
        folders: names of the classes; a file's ``label`` is an index into it. Class folders are
            sorted as text; classes of arrays and tables that have only numbers, by number; if the
            file itself numbers and names its classes, all of them are there, in that order. None if
            the images have no labels.
        files: sorted by folder, then by name.
        skipped: what was left out while listing: files without the suffix of an image, unreadable
            folders, names that lead out of the collection.
        notes: sentences about what was chosen for the user, such as the test half of a data set.
        as_given: how a network gets images that its user has prepared; None for pictures.
    """

    def __init__(self, path: Path, source: Source, as_given: GivenReading | None = None) -> None:
        self.path = path
        self.as_given = as_given
        self._source = source
        self.folders = source.folders
        self.files = source.files
        self.skipped = source.skipped
        self.notes = source.notes
        self._digests: dict[str, bytes] = {}

    @property
    def labeled(self) -> bool:
        """Whether anything says what the images show."""
        return bool(self.folders)

    def require_labels(self) -> None:
        """Raise `InputError` if the images have no labels."""
        if not self.labeled:
            raise InputError(needs_labels(self.path))

    def counts(self) -> list[int]:
        """Number of files in each class folder; none without labels."""
        if not self.labeled:
            return []
        return np.bincount([f.label for f in self.files], minlength=len(self.folders)).tolist()

    def read(self, file: ImageFile) -> bytes:
        """The file's bytes; for an array, one of its images as PGM or PPM. Thread-safe.

        Raises `InputError` if it is unreadable or too large, or not what it was when it was first
        read: an audit reads images several times, and is about one set of them.
        """
        try:
            data = self._source.read(file.name, MAX_FILE_BYTES)
        except InputError:
            raise
        except Exception as error:  # the codecs of a dozen file formats can raise anything
            raise InputError(
                "unreadable ({reason})", reason=str(error) or type(error).__name__
            ) from error
        if len(data) > MAX_FILE_BYTES:
            raise InputError("larger than 64 MiB")
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if self._digests.setdefault(file.name, digest) != digest:
            raise InputError("has changed since it was first read; open the images again")
        return data

    def digest(self, file: ImageFile) -> bytes:
        """SHA-256 of the file's bytes. Thread-safe. Raises as `read`."""
        return hashlib.sha256(self.read(file)).digest()

    def pixels(
        self, file: ImageFile, size: int, framing: Framing
    ) -> tuple[NDArray[np.uint8], bytes]:
        """`decode_image` of the file, uint8 (3, size, size), and its `digest`. Thread-safe. Raises
        as both.
        """
        data = self.read(file)
        return decode_image(data, size, framing), hashlib.sha256(data).digest()


def open_images(path: str | Path, *, job: JobContext = SILENT) -> ImageCollection:
    """List a set of images.

    A folder, zip or tar of class folders; arrays (npz, HDF5); CIFAR's and MNIST's own files; a
    table of paths and classes (CSV, TSV); Parquet with encoded images; images in one folder, whose
    labels are beside them or which have none. A single folder around the class folders is entered.
    Hidden files and system litter are ignored silently; anything else that is left out is listed in
    ``skipped``. Long listings report to ``job``, which can stop them.

    Raises `InputError` if the path is missing, holds no images, or holds several sets of
    which one must be chosen.
    """
    path = Path(path)
    return ImageCollection(path, open_source(path, job))


def sample_files(
    files: Sequence[ImageFile], amount: int | float | None, *, seed: int = 0
) -> list[ImageFile]:
    """A stratified random sample, the same for the same names, amount and seed.

    ``amount`` is a count (int), a share in (0, 1] (float), or None for all. Every class keeps its
    share of the whole, and at least one file (so there may be a few more than requested where
    classes are tiny); a count larger than the number of files gives all of them.

    Raises `UsageError` for an amount that is not positive or a share above 1.
    """
    if amount is None:
        return list(files)
    if not amount > 0 or (isinstance(amount, float) and amount > 1):
        raise UsageError(
            "the sample must be a count of at least 1 or a share up to 1, not {amount}",
            amount=amount,
        )
    total = len(files) * amount if isinstance(amount, float) else min(amount, len(files))
    by_label: dict[int, list[ImageFile]] = {}
    for file in files:
        by_label.setdefault(file.label, []).append(file)
    labels = sorted(by_label)
    exact = np.array([len(by_label[label]) * total / len(files) for label in labels])
    take = np.maximum(1, np.floor(exact).astype(int))
    missing = round(total) - int(take.sum())
    for position in np.argsort(take - exact, kind="stable")[: max(0, missing)]:
        take[position] += 1  # largest remainders first, so that the counts add up
    chosen: list[ImageFile] = []
    for label, count in zip(labels, take.tolist(), strict=True):
        group = by_label[label]
        picks = np.random.default_rng([seed, label]).permutation(len(group))[:count]
        chosen += [group[i] for i in sorted(picks.tolist())]
    return chosen
