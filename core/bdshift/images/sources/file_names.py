"""Labels in the names of the files: ``cat.0.jpg``, ``dog_12.png``, ``3_000123.png``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bdshift.images.sources.label_columns import without_suffix

_MIN_PER_CLASS = 2  # images on average; with fewer the "labels" are numbers of images
_MAX_LENGTH = 100  # characters of a name that carries a label; matching takes their square
_NUMBERED = re.compile(r"[A-Za-z_. -]*\d+([._ -]+\d+)+")  # a date or several numbers: no label
_NO_LABELS = frozenset(
    "img image images imgs pic picture photo frame dsc dscn dscf mvi screenshot scan file train "
    "test val valid sample data pxl whatsapp untitled".split()
)
_ENDS_IN_NUMBER = re.compile(r"(\D*)(\d+)")
_FORMS = (
    re.compile(r"(?P<label>.*[^\d._ -].*?|\d+)[._ -]+(\d+)"),  # label, separator, number
    re.compile(r"(?P<label>.*[^\d._ -])[._ -]*(\d+)"),  # label with the number right after it
    re.compile(r"(\d+)[._ -]+(?P<label>.*[^\d._ -].*|\d+)"),  # number, separator, label
)


def labels_in_names(names: Sequence[str]) -> Mapping[str, str] | None:
    """The label that each name carries; None if they do not all carry one, in the same way."""
    stems = [without_suffix(name.rpartition("/")[2]) for name in names]
    if max(map(len, stems), default=0) > _MAX_LENGTH:
        return None
    for form in _FORMS:
        found = [form.fullmatch(stem) for stem in stems]
        labels = [match["label"].strip("._- ") for match in found if match]
        if len(labels) == len(names) and _plausible(labels):
            return dict(zip(names, _bare(labels), strict=True))
    return None


def _plausible(labels: Sequence[str]) -> bool:
    different = set(labels)
    if len(different) < 2 or len(different) * _MIN_PER_CLASS > len(labels):
        return False
    words = {label.casefold() for label in different}
    return all(words) and not words & _NO_LABELS and not any(map(_NUMBERED.fullmatch, words))


def _bare(labels: Sequence[str]) -> list[str]:
    """``class3``, ``class12`` → 3, 12: numbers, if that is all in which the labels differ."""
    found = [_ENDS_IN_NUMBER.fullmatch(label) for label in labels]
    alike = len({match[1] if match else None for match in found}) == 1
    return [
        match[2] if match and alike else label for match, label in zip(found, labels, strict=True)
    ]
