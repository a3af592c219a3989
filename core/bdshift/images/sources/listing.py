"""Which of the files in a folder or archive are images, and which class each is of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bdshift.errors import InputError
from bdshift.images.sources.base import ImageFile, Skipped
from bdshift.images.sources.label_columns import classes_of
from bdshift.images.sources.naming import (
    MAX_NAME,
    SPLITS,
    check_count,
    has_image_suffix,
    shortened,
)
from bdshift.images.sources.unsorted import (
    Labeled,
    find_labels,
    labels_in_table,
    overriding_labels,
)
from bdshift.words import Sentence

Read = Callable[[str], bytes]

_MAX_LEVELS = 16  # folders around the class folders
_MAX_LISTED = 4
_COMMON = frozenset(
    {*SPLITS} | set("data images image imgs img pictures photos jpegimages all files".split())
)
"""Folders of these names hold images of all classes."""

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar", ".parquet", ".arrow")
_NO_HINT = Sentence("")
_UNLABELED = Sentence(
    "There are no labels (no class folders, and no table such as labels.csv), so the network's own "
    "predictions stand in for them. Clean accuracy stays unknown, and nothing can be purified."
)


@dataclass(frozen=True)
class Listing:
    """Classes and images found among names, all of which have had ``prefix`` removed."""

    prefix: str
    folders: tuple[str, ...]
    files: tuple[ImageFile, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[Sentence, ...] = ()


def list_classes(
    names: Sequence[str],
    read: Read,
    skipped: Iterable[Skipped] = (),
    *,
    beside: Sequence[str] = (),
    hint: Sentence = _NO_HINT,
) -> Listing:
    """Sort names ("cat/1.png") by their first folder, or by the labels in a file among them or
    ``beside`` them, or in their own names; what has no class and what is no image is skipped.
    ``read`` gives a file's bytes by its whole name; ``hint`` is what to do if no image is found.

    Images that lie loose, or in one folder called "images" or the like, have no labels.

    Raises `InputError` if there is nothing, no image that has a class, or train and test folders of
    which one must be chosen.
    """
    check_count(len(names))
    left_out = list(skipped)
    if not names and left_out:
        first = left_out[0]
        raise InputError("holds no files ({name}: {reason})", name=first.name, reason=first.reason)
    if not names:
        raise InputError("holds no files")
    prefix, names, notes = _enter(names)
    pictures = sorted(name for name in names if has_image_suffix(name) and len(name) <= MAX_NAME)
    others = sorted({*names} - {*pictures})
    folders = {name.partition("/")[0] for name in pictures if "/" in name}
    if not pictures:
        _refuse(names, hint)

    def look(name: str) -> bytes:
        return read(name if name in beside else prefix + name)

    if len(folders) > 1 and not all(folder.lower() in _COMMON for folder in folders):
        labeled = overriding_labels(pictures, others, look)
    else:
        labeled = find_labels(pictures, [*others, *beside], look)
    if labeled is not None:
        return _by_labels(prefix, pictures, labeled, left_out, notes)
    loose = any("/" not in name for name in pictures)
    if not folders or (not loose and len(folders) == 1 and folders <= _COMMON):
        return _without_labels(prefix, names, left_out, notes)
    if len(folders) > 1 and all(folder.lower() in SPLITS for folder in folders):
        raise InputError(
            "holds the folders {folders}, but no class folders in them and no file with the labels "
            "of their images (such as labels.csv with the columns filename and label)",
            folders=tuple(sorted(folders)),
        )
    return _by_folder(prefix, names, sorted(folders), left_out, notes)


def list_labeled(
    names: Sequence[str], table: str, read: Read, skipped: Iterable[Skipped] = ()
) -> Listing:
    """The images among names that a ``table`` gives labels to.

    Raises `InputError` if it gives none.
    """
    pictures = sorted(name for name in names if has_image_suffix(name) and len(name) <= MAX_NAME)
    found = labels_in_table(pictures, table, read)
    if found is None:
        raise InputError("names no image that is there")
    return _by_labels("", pictures, found, list(skipped), ())


def _refuse(names: Sequence[str], hint: Sentence) -> None:
    """Say what else it holds."""
    archives = sorted(name for name in names if name.lower().endswith(_ARCHIVES))
    if archives:
        raise InputError(
            "holds no images, but {count:|archive|archives} ({first}); unpack {count:~|it|them}, "
            "or open {count:~|it|one of them}",
            count=len(archives), first=shortened(archives[0]),
        )  # fmt: skip
    raise InputError(
        "holds no class folders with images (one subfolder per class){hint}", hint=hint
    )


def _without_labels(
    prefix: str, names: Sequence[str], left_out: list[Skipped], notes: Sequence[Sentence]
) -> Listing:
    files = []
    for name in sorted(names):
        if len(name) > MAX_NAME:
            left_out.append(Skipped(shortened(name), Sentence("its name is too long")))
        elif not has_image_suffix(name):
            left_out.append(Skipped(name, Sentence("not an image by its suffix")))
        else:
            files.append(ImageFile(name, 0, labeled=False))
    return Listing(prefix, (), tuple(files), tuple(left_out), (*notes, _UNLABELED))


def _by_folder(
    prefix: str,
    names: Sequence[str],
    folders: Sequence[str],
    left_out: list[Skipped],
    notes: Sequence[Sentence],
) -> Listing:
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
    index = {folder: label for label, folder in enumerate(folders)}
    files = tuple(ImageFile(name, index[folder]) for folder, name in images)
    return Listing(prefix, tuple(folders), files, tuple(left_out), tuple(notes))


def _by_labels(
    prefix: str,
    pictures: Sequence[str],
    labeled: Labeled,
    left_out: list[Skipped],
    notes: Sequence[Sentence],
) -> Listing:
    folders, position = classes_of(labeled.by_name.values(), labeled.classes)
    files = [
        ImageFile(name, position[labeled.by_name[name]])
        for name in pictures
        if name in labeled.by_name
    ]
    files.sort(key=lambda file: (file.label, file.name))
    skipped = (*left_out, *labeled.skipped)
    return Listing(prefix, folders, tuple(files), skipped, (*notes, labeled.note))


def _enter(names: Sequence[str]) -> tuple[str, Sequence[str], list[Sentence]]:
    """Enter folders that hold nothing but one folder of class folders, whatever lies next to it;
    and the only part of a data set that has class folders.

    Raises `InputError` if several parts have them.
    """
    prefix = ""
    notes: list[Sentence] = []
    for _ in range(_MAX_LEVELS):
        pictures = [name for name in names if has_image_suffix(name)]
        flat = {name.partition("/")[0] for name in pictures if name.count("/") == 1}
        deep = {name.partition("/")[0] for name in pictures if name.count("/") > 1} - flat
        loose = any("/" not in name for name in pictures)
        parts = deep and all(folder.lower() in SPLITS for folder in deep | flat)
        if len(deep) > 1 and parts:
            _choose(prefix, deep)
        only = len(deep) == 1 and not loose and (not flat or parts)
        if not only:
            break
        (head,) = deep
        if flat:
            values = {"chosen": prefix + head, "others": tuple(sorted(flat))}
            notes.append(
                Sentence("Took {chosen}, and not {others}, where no class folders are", values)
            )
        head += "/"
        prefix += head
        names = [name[len(head) :] for name in names if name.startswith(head)]
    return prefix, names, notes


def _choose(prefix: str, parts: Iterable[str]) -> None:
    ordered = sorted(parts)
    *others, last = ordered
    best = min(ordered, key=lambda name: SPLITS[name.lower()])
    raise InputError(
        "holds the folders {others} and {last}; open one of them, best {best}",
        others=tuple(others), last=last, best=prefix + best,
    )  # fmt: skip
