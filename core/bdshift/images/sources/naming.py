"""Turns the names inside a folder or archive into classes and images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bdshift.errors import InputError
from bdshift.images.sources.base import MAX_FILES, ImageFile, Skipped
from bdshift.words import Sentence

MAX_NAME = 1000
"""Characters of a path in the collection."""

_IMAGE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .dib .gif .webp .tif .tiff .ppm .pgm .pbm .pnm .ico .tga "
    ".jp2 .avif".split()
)
_MAX_LEVELS = 16  # folders around the class folders
_SPLIT_NAMES = frozenset({"train", "training", "test", "testing", "val", "valid", "validation"})
_NOISE = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})

UNPACK_HINT = Sentence("; if it is another data set, unpack it and open the folder")
"""For archives without class folders: many data sets come in archives."""

_NO_HINT = Sentence("")


def is_visible(name: str) -> bool:
    """Whether one part of a path is neither hidden nor left behind by an operating system."""
    return not name.startswith(".") and name not in _NOISE


def has_image_suffix(name: str) -> bool:
    """Whether a name has the suffix of an image."""
    return name[name.rfind(".") :].lower() in _IMAGE_SUFFIXES


def shortened(name: str) -> str:
    """A name as lists show it: a long one is cut, but can still be found."""
    return name if len(name) <= MAX_NAME else name[:80] + "…"


def check_count(count: int) -> None:
    """Raise `InputError` if a set is larger than `MAX_FILES`."""
    if count > MAX_FILES:
        raise InputError("holds more than {most:,} images; open a part of it", most=MAX_FILES)


def member_parts(name: str) -> tuple[list[str], Sentence | None]:
    """The parts of an archive member's name, and why it is left out, if it is.

    Archives made on Windows may separate the parts with backslashes.
    """
    if "/" not in name:
        name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or (parts and re.fullmatch(r"[A-Za-z]:", parts[0])):
        return parts, Sentence("its name is absolute")
    if ".." in parts:
        return parts, Sentence("its name leads out of the archive")
    return parts, None


@dataclass(frozen=True)
class Listing:
    """Class folders found among names, all of which have had ``prefix`` removed."""

    prefix: str
    folders: tuple[str, ...]
    files: tuple[ImageFile, ...]
    skipped: tuple[Skipped, ...]


def list_classes(
    names: Sequence[str], skipped: Iterable[Skipped] = (), *, hint: Sentence = _NO_HINT
) -> Listing:
    """Sort names ("cat/1.png") by their first folder; files outside a folder, and those that are
    not images, are skipped. ``hint`` is what to do if no class folder is found.

    Raises `InputError` if there is nothing, no image in a class folder, or train and test folders
    of which one must be chosen.
    """
    check_count(len(names))
    left_out = list(skipped)
    if not names and left_out:
        first = left_out[0]
        raise InputError("holds no files ({name}: {reason})", name=first.name, reason=first.reason)
    if not names:
        raise InputError("holds no files")
    prefix, names = _enter(names)
    heads = {name.partition("/")[0].lower() for name in names if name.count("/") >= 2}
    if heads and heads <= _SPLIT_NAMES and len(heads) > 1:
        *others, last = sorted(heads)
        raise InputError(
            "holds the folders {others} and {last}; open one of them",
            others=tuple(others), last=last,
        )  # fmt: skip
    images: list[tuple[str, str]] = []
    for name in sorted(names):
        folder, _, rest = name.partition("/")
        if len(name) > MAX_NAME:
            left_out.append(Skipped(shortened(name), Sentence("its name is too long")))
        elif not rest:
            left_out.append(Skipped(name, Sentence("not in a class folder")))
        elif not has_image_suffix(name):
            left_out.append(Skipped(name, Sentence("not an image by its suffix")))
        else:
            images.append((folder, name))
    if not images:
        raise InputError(
            "holds no class folders with images (one subfolder per class){hint}", hint=hint
        )
    folders = tuple(sorted({folder for folder, _ in images}))
    index = {folder: label for label, folder in enumerate(folders)}
    files = tuple(ImageFile(name, index[folder]) for folder, name in images)
    return Listing(prefix, folders, files, tuple(left_out))


def _enter(names: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Enter folders that hold nothing but one folder of class folders."""
    prefix = ""
    for _ in range(_MAX_LEVELS):
        heads = {name.partition("/")[0] for name in names}
        if len(heads) != 1 or not all(name.count("/") >= 2 for name in names):
            break
        head = heads.pop() + "/"
        prefix += head
        names = [name[len(head) :] for name in names]
    return prefix, names
