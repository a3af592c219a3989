"""Names inside a folder or archive."""

from __future__ import annotations

import re

from bdshift.errors import InputError
from bdshift.images.sources.base import MAX_FILES
from bdshift.words import Sentence

MAX_NAME = 1000
"""Characters of a path in the collection."""

_IMAGE_SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .bmp .dib .gif .webp .tif .tiff .ppm .pgm .pbm .pnm .ico .tga "
    ".jp2 .avif".split()
)
SPLITS = {
    "clean": 0, "test": 1, "testing": 1, "eval": 1, "val": 2, "valid": 2, "validation": 2,
    "dev": 2, "train": 4, "training": 4,
}  # fmt: skip
"""Names of the parts of a data set, the best for a clean set first: images that no network was
trained on.
"""

_NO_SPLIT = 3  # between those that are good for a clean set and the training set

_NOISE = frozenset({"Thumbs.db", "desktop.ini", "__MACOSX"})

UNPACK_HINT = Sentence("; if it is another data set, unpack it and open the folder")
"""For archives without class folders: many data sets come in archives."""


def split_rank(name: str) -> int:
    """How good a part of a data set is as a clean set, by its name: test before training."""
    words = re.split(r"[^a-z]+", name.lower())
    return min((SPLITS[word] for word in words if word in SPLITS), default=_NO_SPLIT)


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
    if len(name) > MAX_NAME:  # before it is taken apart: it may have half a million parts
        return [shortened(name)], Sentence("its name is too long")
    if "/" not in name:
        name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or (parts and re.fullmatch(r"[A-Za-z]:", parts[0])):
        return parts, Sentence("its name is absolute")
    if ".." in parts:
        return parts, Sentence("its name leads out of the archive")
    return parts, None
