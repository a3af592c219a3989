"""Which column of a sheet names the images, and which is their label.

The images decide: the column whose cells are their names, whatever it is called. Of the others, the
label's is the one with a usual name, or one-hot columns, or the only one whose values repeat as
labels do.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bdshift.errors import InputError
from bdshift.images.sources.label_files import Sheet
from bdshift.images.sources.naming import has_image_suffix, shortened

# Best first: GTSRB's own tables have Filename and ClassId next to the corners of a box.
PATHS = (
    "path filepath file_path filepaths image_path img_path filename file_name fname file "
    "image_name image_file image img image_id imageid img_id id_code id"
).split()
LABELS = (
    "label labels class classid class_id class_index label_id target targets category category_id "
    "class_name classname label_name breed species kind diagnosis dx level type variety cultivar "
    "predictionstring annotation tag tags y"
).split()
_SAMPLE = 500  # rows that tell which column is which
_MAX_SEARCHED = 64  # columns that may hold the names
_MATCHING = 0.5  # share of a column's cells, or of the images, that must be names of images
_NUMBER = re.compile(r"(\d{1,9})(\.0+)?")
_ONE = re.compile(r"[01](\.0+)?")
_MAX_LISTED = 8  # columns in an error


@dataclass(frozen=True)
class Labels:
    """Labels of images by their names, and the names of the classes if the sheet orders them."""

    by_name: Mapping[str, str]
    classes: tuple[str, ...] = ()


class Pictures:
    """Names of images, found by what tables call them: with or without folders and suffix, in upper
    or lower case, numbers with or without leading zeros.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._by_stem: dict[str, list[str]] = {}
        for name in names:
            self._by_stem.setdefault(_stem(name), []).append(name)
        several = [n for found in self._by_stem.values() if len(found) > 1 for n in found]
        self._from_end = sorted((_from_end(name), name) for name in several)

    def find(self, cell: str) -> str | None:
        """The one image that a cell names; None if it is none, or unclear which."""
        if not cell or len(cell) > 4096:
            return None
        found = self._by_stem.get(_stem(cell), ())
        if len(found) <= 1:
            return found[0] if found else None
        start = _from_end(cell.replace("\\", "/").strip("/."))  # the same name in several folders
        at = bisect_left(self._from_end, (start, ""))
        alike = [n for key, n in self._from_end[at : at + 2] if key.startswith(start)]
        return alike[0] if len(alike) == 1 else None


def without_suffix(name: str) -> str:
    """A name without the suffix of an image."""
    return name[: name.rindex(".")] if has_image_suffix(name) else name


def _from_end(name: str) -> str:
    """A path from its end to its start: paths that end alike are next to each other in order."""
    return ("/" + without_suffix(name).casefold())[::-1]


def _stem(name: str) -> str:
    stem = without_suffix(name.replace("\\", "/").rpartition("/")[2]).strip().casefold()
    return str(int(stem)) if _NUMBER.fullmatch(stem) and stem.isdecimal() else stem


def named_labels(sheet: Sheet, pictures: Pictures) -> Labels | None:
    """The labels in a sheet that names images; None if it does not name these.

    Raises `InputError` if it does, but which column is the label is unclear.
    """
    width = max(map(len, sheet.rows[:_SAMPLE]))
    if width < 2:
        return None
    step = max(1, len(sheet.rows) // _SAMPLE)
    sample = sheet.rows[::step]
    hits = [
        sum(len(row) > column and pictures.find(row[column]) is not None for row in sample)
        for column in range(min(width, _MAX_SEARCHED))
    ]
    path = max(range(len(hits)), key=lambda column: (hits[column], -column))
    needed = _MATCHING * min(len(sample), max(1, len(pictures.names) // step))
    if not hits[path] or hits[path] < needed:
        return None
    head = sheet.rows[0] if _is_header(sheet.rows[0], path, pictures) else ()
    found = [(pictures.find(row[path]), row) for row in sheet.rows if len(row) > path]
    rows = [(name, row) for name, row in found if name is not None]
    labels, classes = _labels(head, path, [row for _, row in rows])
    by_name: dict[str, str] = {}
    several = set()
    for (name, _), label in zip(rows, labels, strict=True):
        if by_name.setdefault(name, label) != label:
            several.add(name)
    kept = {name: label for name, label in by_name.items() if label and name not in several}
    return Labels(kept, classes or sheet.classes)


def _is_header(row: Sequence[str], path: int, pictures: Pictures) -> bool:
    return len(row) > path and pictures.find(row[path]) is None


def _labels(
    head: Sequence[str], path: int, rows: Sequence[Sequence[str]]
) -> tuple[list[str], tuple[str, ...]]:
    """A label for each row, "" where it has none, and the classes if the columns order them."""
    width = max(map(len, rows))
    names = [cell.strip().casefold().replace(" ", "_") for cell in head]
    usual = [names.index(n) for n in LABELS if n in names and names.index(n) != path]
    columns = {c: [row[c] if len(row) > c else "" for row in rows] for c in usual}
    numbered = [c for c in usual if all(map(_NUMBER.fullmatch, filter(None, columns[c])))]
    for column in (*numbered, *usual):
        if len(set(columns[column])) > 1:
            if names[column] == "predictionstring":  # the class, then a box
                return [cell.partition(" ")[0] for cell in columns[column]], ()
            return columns[column], ()
    if (found := _one_hot(head, path, rows)) is not None:
        return found
    others = [c for c in range(width) if c != path]
    columns = {c: [row[c] if len(row) > c else "" for row in rows] for c in others}
    if len(others) == 1:
        return columns[others[0]], ()
    alike = [c for c in others if 1 < len(set(columns[c])) <= len(rows) / 2]
    texts = [c for c in alike if not any(map(_is_number, columns[c]))]
    if len(texts) == 1 or (not head and (texts or alike)):
        return columns[(texts or alike)[0]], ()
    if len(alike) == 1:
        return columns[alike[0]], ()
    raise InputError(
        "lists the images, but which of its columns is their label is unclear; keep two, called "
        "filename and label (its first row is {row})",
        row=shortened(";".join(head or rows[0][:_MAX_LISTED])),
    )


def _one_hot(
    head: Sequence[str], path: int, rows: Sequence[Sequence[str]]
) -> tuple[list[str], tuple[str, ...]] | None:
    """Columns of 0 and 1, one 1 in each row; the classes are in the order of the columns."""
    hot = [
        c
        for c in range(len(head))
        if c != path and all(len(row) > c and _ONE.fullmatch(row[c]) for row in rows)
    ]
    if len(hot) < 2:
        return None
    ones = [[c for c in hot if row[c].startswith("1")] for row in rows]
    if not all(len(found) == 1 for found in ones):
        return None
    return [head[found[0]] for found in ones], tuple(head[c] for c in hot)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def ordered_labels(sheet: Sheet, count: int) -> list[str] | None:
    """The labels of a sheet that has nothing else, or a column of them with a usual name: one for
    each of ``count`` images, in their order. None if it holds no labels of images.

    Raises `InputError` if they are labels, but of another number.
    """
    rows = sheet.rows
    column = 0
    head = [cell.casefold() for cell in rows[0]]
    usual = [head.index(name) for name in LABELS if name in head]
    if usual:
        column, rows = usual[0], rows[1:]
    elif len(rows[0]) != 1:
        return None
    cells = [row[column] if len(row) > column else "" for row in rows]
    if len(cells) == count and len(set(cells)) > 1 and all(cells):
        return cells
    if len(set(cells)) < len(cells) and len(cells) > 1 and _are_labels(cells):
        raise InputError(
            "holds {labels:|label|labels} for {count:|image|images}", labels=len(cells), count=count
        )
    return None  # names of classes, or text


def _are_labels(cells: Iterable[str]) -> bool:
    return all(_NUMBER.fullmatch(cell) for cell in cells)


def classes_of(
    labels: Iterable[str], ordered: Sequence[str] = ()
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Class names in order, and the position of each label. Numbers are in numeric order, and
    normalized: 00014 and 14.0 become 14. With the ``ordered`` names of all classes, these.
    """
    present = sorted(set(labels))
    if ordered:
        at = {name: index for index, name in enumerate(ordered)}
        return tuple(ordered), {label: at[label] for label in present}
    numbers = {label: _NUMBER.fullmatch(label) for label in present}
    if any(matched is None for matched in numbers.values()):
        return tuple(present), {label: index for index, label in enumerate(present)}
    values = {label: int(matched[1]) for label, matched in numbers.items() if matched}
    in_order = sorted(set(values.values()))
    position = {value: index for index, value in enumerate(in_order)}
    return tuple(map(str, in_order)), {label: position[values[label]] for label in present}
