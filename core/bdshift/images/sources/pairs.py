"""Which array of a file holds the images, and which their labels."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bdshift.errors import InputError
from bdshift.words import Sentence

_PICTURES = frozenset(
    "x images image imgs img data pixels inputs input features samples pictures".split()
)
_LABELS = frozenset("y labels label targets target classes class".split())
# What a clean set is best taken from, best first: images that no network was trained on. If a file
# holds both halves of a data set, that one is used: a user who was asked could only answer by
# writing the file again. The notes say which one it was.
_SPLITS = {"clean": 0, "eval": 1, "test": 1, "val": 2, "": 3, "train": 4}
_MAX_LISTED = 8  # names in an error


def _split(key: str) -> str:
    found = [(key.lower().find(word), word) for word in _SPLITS if word and word in key.lower()]
    return min(found)[1] if found else ""


def _words(key: str) -> set[str]:
    """``test/fine_labels`` → test, fine, labels; ``XTest`` and ``train_images`` → …x, images."""
    lower = key.lower()
    split = _split(key)
    bare = lower.replace(split, " ") if split else lower
    return set(re.split(r"[^a-z]+", bare)) | set(re.split(r"[^a-z]+", lower))


def _preferred(keys: list[str], words: frozenset[str]) -> list[str]:
    """The keys that contain one of the words, or all if none does."""
    return [key for key in keys if _words(key) & words] or keys


def find_pair(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str, Sentence | None]:
    """The keys of images and labels among arrays of these shapes, and a note if one was chosen.

    Shapes say what may be an image or a label, names say which of them is meant.

    Raises `InputError` if there is no pair, or if several are equally good.
    """
    pictures = [key for key, shape in shapes.items() if len(shape) in (3, 4)]
    labels = [key for key, shape in shapes.items() if len(shape) in (1, 2)]
    pictures, labels = _preferred(pictures, _PICTURES), _preferred(labels, _LABELS)
    held = tuple(shapes)[:_MAX_LISTED]
    if not held:
        raise InputError(
            "holds no array of images, (n, h, w), (n, h, w, c) or (n, c, h, w); it holds nothing"
        )
    if not pictures:
        raise InputError(
            "holds no array of images, (n, h, w), (n, h, w, c) or (n, c, h, w); it holds {held}",
            held=held,
        )
    pairs: list[tuple[str, str]] = []
    for key in pictures:
        fitting = [other for other in labels if shapes[other][0] == shapes[key][0]]
        if half := _split(key):  # never the labels of the other half, even if their number matches
            fitting = [other for other in fitting if _split(other) in (half, "")]
        fitting = [other for other in fitting if _split(other) == _split(key)] or fitting
        pairs += [(key, other) for other in fitting]
    if not pairs:
        raise InputError(
            "holds images ({name}), but no labels of the same number; it holds {held}",
            name=pictures[0], held=held,
        )  # fmt: skip
    # With `x_bd`, `x_clean` and one `y`, the name of the images decides.
    best = min(_SPLITS[_split(key)] for key, _ in pairs)
    chosen = [pair for pair in pairs if _SPLITS[_split(pair[0])] == best]
    if len(chosen) > 1:
        listed = tuple(
            Sentence("{pictures} with {labels}", {"pictures": key, "labels": other})
            for key, other in chosen[:_MAX_LISTED]
        )
        raise InputError(
            "holds several labeled sets ({sets}); keep one of them in the file", sets=listed
        )
    key, other = chosen[0]
    rest = tuple(sorted({name for name, _ in pairs if name != key}))
    if not rest:
        return key, other, None
    values = {"pictures": key, "labels": other, "others": rest}
    return key, other, Sentence("Took {pictures} with {labels}, and not {others}", values)
