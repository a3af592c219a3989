"""Images that are not in class folders: their labels are in a file beside them, or in their names.

What names the images is believed first, then lists that have as many labels as there are images,
then the images' own names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bdshift.errors import InputError
from bdshift.images.sources.base import Skipped
from bdshift.images.sources.file_names import labels_in_names
from bdshift.images.sources.label_columns import Labels, Pictures, named_labels, ordered_labels
from bdshift.images.sources.label_files import MAX_BYTES, Sheet, read_sheet
from bdshift.images.sources.naming import shortened, split_rank
from bdshift.text import natural_key
from bdshift.words import Sentence

Read = Callable[[str], bytes]
"""Gives the bytes of a file of the set, by its name; up to `MAX_BYTES`, and one more if there are
more.
"""

_SUFFIXES = frozenset(
    "csv tsv txt json jsonl ndjson npy npz pt pth pkl pickle p lst list data labels".split()
)
_USUAL = re.compile(
    r"label|target|class|annot|truth|meta|solution|synset|breed|(^|[^a-z])(y|gt)([^a-z]|$)"
)
_NO_LABELS = re.compile(r"readme|licen[cs]e|requirements|submission|(^|/)(classes|class_names)\.")
_MAX_LEVELS = 3  # of folders around a file of labels
_MAX_CANDIDATES = 32  # files that are looked into
_MAX_LISTED = 20  # images without a label that are listed
_MIN_NAMED = 0.9  # share of the images that a table must name to be believed more than folders
_MIN_LABELED = 0.5  # share of the images in a folder that a table must name


@dataclass(frozen=True)
class Labeled:
    """Labels of images by name, the classes in their order if that is known, what was left out,
    and where the labels come from.
    """

    by_name: Mapping[str, str]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    note: Sentence


def may_hold_labels(name: str) -> bool:
    """Whether a file of this name is worth a look."""
    lower = name.lower()
    base = lower.rpartition("/")[2]
    suffix = base.rpartition(".")[2] if "." in base else ""
    usual = _USUAL.search(base) is not None
    return (suffix in _SUFFIXES or (not suffix and usual)) and not _NO_LABELS.search(lower)


def holds_labels_of(name: str, folder: str) -> bool:
    """Whether a file next to a folder is meant for it: labels by its name, or named like it."""
    return may_hold_labels(name) and (
        _USUAL.search(name.lower()) is not None or _words(folder) <= _words(name)
    )


def find_labels(pictures: Sequence[str], others: Sequence[str], read: Read) -> Labeled | None:
    """Labels of ``pictures`` in one of the ``others``, or in their own names; None without any.

    Raises `InputError` if a file holds labels that do not fit the images.
    """
    unread: list[InputError] = []
    sheets = list(_sheets(others, read, unread))
    index = Pictures(pictures)
    refused: InputError | None = None
    found: list[tuple[str, Labels]] = []
    for name, sheet in sheets:
        try:
            labels = named_labels(sheet, index)
        except InputError as error:
            refused = refused or error.at(name)
            continue
        if labels is not None and _covers(labels.by_name, pictures):
            found.append((name, labels))
    if found:
        best = min(found, key=lambda one: (split_rank(one[0]), -len(one[1].by_name)))
        return _labeled(best[0], best[1].by_name, best[1].classes, pictures)
    for name, sheet in sheets:
        for group in _fitting(_groups(pictures, name), len(sheet.rows)):
            try:
                ordered = ordered_labels(sheet, len(group))
            except InputError as error:
                refused = refused or error.at(name)
                continue
            if ordered is not None:
                by_name = dict(zip(group, ordered, strict=True))
                return _labeled(name, by_name, sheet.classes, pictures)
    named = labels_in_names(pictures)
    reasons = [reason for reason in (refused, *unread) if reason is not None]
    if named is None and reasons:
        raise reasons[0]
    if named is None:
        return None
    first = min(named)
    values = {"label": named[first], "name": shortened(first)}
    note = Sentence("Took the labels from the file names, such as “{label}” of {name}", values)
    return Labeled(named, (), (), note)


def labels_in_table(pictures: Sequence[str], table: str, read: Read) -> Labeled | None:
    """Labels of ``pictures`` in this file alone; None if it names none of them."""
    for _, sheet in _sheets([table], read, []):
        labels = named_labels(sheet, Pictures(pictures))
        if labels is not None and labels.by_name:
            return _labeled(table, labels.by_name, labels.classes, pictures)
    return None


def _sheets(
    others: Sequence[str], read: Read, unread: list[InputError]
) -> Iterator[tuple[str, Sheet]]:
    """What the files hold that may be labels, the likeliest first. Why one that is called like
    labels cannot be read is added to ``unread``.
    """
    fitting = [n for n in others if n.count("/") <= _MAX_LEVELS and may_hold_labels(n)]
    fitting.sort(key=lambda name: (_USUAL.search(name.lower()) is None, name.count("/"), name))
    for name in fitting[:_MAX_CANDIDATES]:
        try:
            data = read(name)
            sheet = read_sheet(name, data) if len(data) <= MAX_BYTES else None
        except InputError as error:
            unread += [error.at(name)] if _USUAL.search(name.lower()) else []
            continue
        except OSError:
            continue
        if sheet is not None:
            yield name, sheet


def _covers(labels: Mapping[str, str], pictures: Sequence[str]) -> bool:
    """Whether most images of the folders that a table is about have a label."""
    folders = {_folder(name) for name in labels}
    there = sum(_folder(name) in folders for name in pictures)
    return bool(labels) and len(labels) >= _MIN_LABELED * there


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _words(text: str) -> set[str]:
    return set(re.split(r"[^a-z]+", text.lower().rpartition(".")[0] or text.lower())) - {""}


def _groups(pictures: Sequence[str], name: str) -> list[list[str]]:
    """What a list of labels may be about: all images, or those of one folder, first the one that
    the list is named like; each in the order of the numbers in their names.
    """
    folders: dict[str, list[str]] = {}
    for picture in sorted(pictures, key=natural_key):
        folders.setdefault(_folder(picture), []).append(picture)
    alike = sorted(folders, key=lambda folder: not _words(folder) & _words(name))
    groups = [folders[folder] for folder in alike]
    return groups if len(groups) == 1 else [*groups, sorted(pictures, key=natural_key)]


def _fitting(groups: list[list[str]], rows: int) -> list[list[str]]:
    """The first group of each size that a list of so many rows, one perhaps a header, may be about;
    without any, the first group, which says what does not fit.
    """
    sizes: dict[int, list[str]] = {}
    for group in groups:
        if rows - 1 <= len(group) <= rows:
            sizes.setdefault(len(group), group)
    return list(sizes.values()) or groups[:1]


def _labeled(
    name: str, by_name: Mapping[str, str], classes: tuple[str, ...], pictures: Sequence[str]
) -> Labeled:
    folders = {_folder(picture) for picture in by_name}
    about = [picture for picture in pictures if _folder(picture) in folders]
    missing = [picture for picture in about if picture not in by_name]
    skipped = [Skipped(picture, Sentence("it has no label")) for picture in missing]
    note = Sentence("Took the labels from {file}", {"file": shortened(name)})
    if len(about) < len(pictures):
        rest = sorted({_folder(p) for p in pictures} - folders)
        values = {"file": shortened(name), "others": tuple(rest[:_MAX_LISTED])}
        note = Sentence("Took the labels from {file}, and not the images in {others}", values)
    used = set(by_name.values())
    ordered = classes if used <= set(classes) else ()
    return Labeled(by_name, ordered, tuple(skipped), note)


def overriding_labels(pictures: Sequence[str], others: Sequence[str], read: Read) -> Labeled | None:
    """Labels of images in several folders that are no classes, such as ``part_1`` and ``part_2``: a
    table next to the folders names nearly all of them, and a folder holds images of several labels.
    None if the folders are the classes, as they nearly always are.
    """
    tables = [name for name in others if "/" not in name and _USUAL.search(name.lower())]
    if not tables:
        return None
    index = Pictures(pictures)
    for name, sheet in _sheets(tables, read, []):
        try:
            labels = named_labels(sheet, index)
        except InputError:
            continue
        if labels is None or len(labels.by_name) < _MIN_NAMED * len(pictures):
            continue
        pairs = {(picture.partition("/")[0], label) for picture, label in labels.by_name.items()}
        if len(pairs) > len({folder for folder, _ in pairs}):
            return _labeled(name, labels.by_name, labels.classes, pictures)
    return None
