"""Which array of a file holds the pictures, and which their labels."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bdshift.errors import InputError

_PICTURES = frozenset(
    "x images image imgs img data pixels inputs input features samples pictures".split()
)
_LABELS = frozenset("y labels label targets target classes class".split())
# What a clean set is best taken from, best first: what no network has been trained on. A file that
# holds both halves of a data set is taken to mean that one, since asking would only be answered by
# writing the file again; which it was is told in the notes.
_SPLITS = {"clean": 0, "eval": 1, "test": 1, "val": 2, "": 3, "train": 4}
_LISTED = 8  # names in an error


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
    """Those called by one of the words, or all if none is."""
    return [key for key in keys if _words(key) & words] or keys


def find_pair(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str, str | None]:
    """The keys of pictures and labels among arrays of these shapes, and a note if one was chosen.

    Shapes say what may be a picture or a label, names which of them is meant.

    Raises `InputError` if there is no pair, or more than one as good.
    """
    pictures = [key for key, shape in shapes.items() if len(shape) in (3, 4)]
    labels = [key for key, shape in shapes.items() if len(shape) in (1, 2)]
    pictures, labels = _preferred(pictures, _PICTURES), _preferred(labels, _LABELS)
    held = ", ".join(list(shapes)[:_LISTED]) or "nothing"
    if not pictures:
        raise InputError(
            f"holds no array of pictures, (n, h, w), (n, h, w, c) or (n, c, h, w); it holds {held}"
        )
    pairs: list[tuple[str, str]] = []
    for key in pictures:
        fitting = [other for other in labels if shapes[other][0] == shapes[key][0]]
        if half := _split(key):  # never the labels of the other one, though they may be as many
            fitting = [other for other in fitting if _split(other) in (half, "")]
        fitting = [other for other in fitting if _split(other) == _split(key)] or fitting
        pairs += [(key, other) for other in fitting]
    if not pairs:
        raise InputError(
            f"holds pictures ({pictures[0]}), but no labels of as many; it holds {held}"
        )
    # `x_bd` beside `x_clean` and one `y`: the name of the pictures decides.
    best = min(_SPLITS[_split(key)] for key, _ in pairs)
    chosen = [pair for pair in pairs if _SPLITS[_split(pair[0])] == best]
    if len(chosen) > 1:
        listed = "; ".join(f"{key} with {other}" for key, other in chosen[:_LISTED])
        raise InputError(f"holds several labeled sets ({listed}); keep one of them in the file")
    key, other = chosen[0]
    rest = ", ".join(sorted({name for name, _ in pairs if name != key}))
    note = f"Took {key} with {other}, and not {rest}" if rest else None
    return key, other, note
