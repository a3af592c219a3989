"""A folder or a zip with one sub-folder a class becomes a list of labelled files."""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from bdshift.errors import InputError, UsageError

MAX_FILE_BYTES = 64 * 1024 * 1024
"""A larger entry is skipped unread: no picture of a clean set is, and a zip can lie about it."""

_IMAGE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .dib .gif .webp .tif .tiff .ppm .pgm .pbm .pnm .ico .tga "
    ".jp2 .avif".split()
)
_MAX_NAME = 1000  # characters of a path inside the collection
_MAX_LEVELS = 16  # folders around the class folders
_SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
_NOISE = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})


@dataclass(frozen=True)
class ImageFile:
    """One file: ``name`` is its path inside the collection, ``label`` its folder's position."""

    name: str
    label: int


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    name: str
    reason: str


class ImageCollection:
    """The labelled files of a folder or zip; opened, listed, not yet decoded.

    Attributes:
        path: the folder or zip.
        folders: names of the class folders, sorted; a file's ``label`` is an index into it.
        files: in order of folder, then name.
        skipped: files that are not images by their suffix.
    """

    def __init__(
        self,
        path: Path,
        names: Iterable[str],
        *,
        archive: zipfile.ZipFile | None = None,
        prefix: str = "",
    ) -> None:
        self.path = path
        self._archive = archive
        self._prefix = prefix
        self._lock = threading.Lock()
        images: list[tuple[str, str]] = []
        skipped: list[Skipped] = []
        for name in sorted(names):
            folder, _, rest = name.partition("/")
            if len(name) > _MAX_NAME:
                skipped.append(Skipped(name[:80] + "…", "its name is too long"))
            elif not rest:
                skipped.append(Skipped(name, "not in a class folder"))
            elif PurePosixPath(name).suffix.lower() not in _IMAGE_SUFFIXES:
                skipped.append(Skipped(name, "not an image by its suffix"))
            else:
                images.append((folder, name))
        self.folders: tuple[str, ...] = tuple(sorted({folder for folder, _ in images}))
        self.skipped: tuple[Skipped, ...] = tuple(skipped)
        index = {folder: label for label, folder in enumerate(self.folders)}
        self.files: tuple[ImageFile, ...] = tuple(
            ImageFile(name, index[folder]) for folder, name in images
        )

    def counts(self) -> list[int]:
        """Number of files in each class folder."""
        return np.bincount([f.label for f in self.files], minlength=len(self.folders)).tolist()

    def read(self, file: ImageFile) -> bytes:
        """The file's bytes. Thread-safe. Raises `InputError` if unreadable or too large."""
        try:
            if self._archive is None:
                path = self.path / self._prefix / file.name
                if not path.is_file():
                    raise InputError("not a file, or a broken link")
                if path.stat().st_size > MAX_FILE_BYTES:
                    raise InputError("larger than 64 MiB")
                return path.read_bytes()
            with self._lock, self._archive.open(self._prefix + file.name) as stream:
                data = stream.read(MAX_FILE_BYTES + 1)
        except InputError:
            raise
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as e:
            raise InputError(f"unreadable ({e})") from e
        except Exception as e:  # zlib.error, lzma.LZMAError: a broken entry of a zip
            raise InputError(f"broken zip entry ({e})") from e
        if len(data) > MAX_FILE_BYTES:
            raise InputError("larger than 64 MiB")
        return data


def _visible(parts: Sequence[str]) -> bool:
    return not any(part.startswith(".") or part in _NOISE for part in parts)


def _enter(names: list[str]) -> tuple[str, list[str]]:
    """Walk down folders that hold nothing but one folder of class folders."""
    prefix = ""
    for _ in range(_MAX_LEVELS):
        heads = {name.partition("/")[0] for name in names}
        deeper = all(name.count("/") >= 2 for name in names)
        if len(heads) != 1 or not deeper:
            break
        head = heads.pop() + "/"
        prefix += head
        names = [name[len(head) :] for name in names]
    return prefix, names


def _walk(root: Path, *, follow: bool = True) -> list[str]:
    """Relative names of all visible files. Only links right below ``root`` are followed: a class
    folder may be one, and one level cannot loop.
    """
    names = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if _visible([name]))
        relative = Path(folder).relative_to(root)
        names += [(relative / name).as_posix() for name in files if _visible([name])]
        if follow and Path(folder) == root:
            for name in subfolders:
                if (root / name).is_symlink():
                    inner = _walk((root / name).resolve(), follow=False)
                    names += [f"{name}/{rest}" for rest in inner]
    return names


def open_images(path: str | Path) -> ImageCollection:
    """List a folder, or a zip, of class folders.

    A single folder around the class folders is entered. Hidden files and system litter are passed
    over silently; other files that are not images are listed in ``skipped``.

    Raises `InputError` if the path is missing, holds no class folder with images, or holds
    train/test folders of which one must be chosen.
    """
    path = Path(path)
    archive: zipfile.ZipFile | None = None
    try:
        if path.is_dir():
            names = _walk(path)
        elif not path.exists():
            raise InputError(f"{path}: no such folder or file")
        elif path.is_file() and zipfile.is_zipfile(path):
            archive = zipfile.ZipFile(path)
            names = [
                info.filename
                for info in archive.infolist()
                if not info.is_dir() and _visible(PurePosixPath(info.filename).parts)
            ]
        else:
            raise InputError(f"{path}: neither a folder nor a zip of class folders")
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if not names:
        raise InputError(f"{path}: holds no files")
    prefix, names = _enter(names)
    heads = {name.partition("/")[0].lower() for name in names if name.count("/") >= 2}
    if heads and heads <= _SPLIT_NAMES and len(heads) > 1:
        found = " and ".join(sorted(heads))
        raise InputError(f"{path}: holds the folders {found}; open one of them")
    collection = ImageCollection(path, names, archive=archive, prefix=prefix)
    if not collection.files:
        raise InputError(f"{path}: holds no class folders with images (one sub-folder a class)")
    return collection


def sample_files(
    files: Sequence[ImageFile], amount: int | float | None, *, seed: int = 0
) -> list[ImageFile]:
    """A stratified random sample, the same for the same names, amount and seed.

    ``amount`` is a count (int), a share in (0, 1] (float), or None for all. Every class keeps its
    share of the whole, at least one file (so a few more than asked for where classes are tiny); a
    count larger than there are files gives all of them.

    Raises `UsageError` for an amount that is not positive or a share above 1.
    """
    if amount is None:
        return list(files)
    if not amount > 0 or (isinstance(amount, float) and amount > 1):
        raise UsageError(f"a sample is a count of at least 1 or a share up to 1, not {amount}")
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
