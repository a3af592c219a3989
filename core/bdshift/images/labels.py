"""Which class index each folder stands for, and what the classes are called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bdshift.errors import InputError, UsageError

_MAX_BYTES = 16 * 1024 * 1024  # of a class-name file: some 500 000 names
_MAX_NAME = 200  # characters of a class name
_MAX_DIGITS = 9  # of a folder's or a file's number


@dataclass(frozen=True)
class ClassMap:
    """Names of the network's classes, and the class of each folder.

    Attributes:
        names: of all C classes; those without a folder or name are "class 7".
        of_folder: class index of each folder.
        source: "sorted order", "folder numbers", "the model's own names", "given by hand" or a
            class-name file.
    """

    names: tuple[str, ...]
    of_folder: tuple[int, ...]
    source: str


def _is_index(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MAX_DIGITS


def _read_names(path: Path) -> dict[str, int]:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            raise OSError("not a file of text")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return {name: index for index, name in enumerate(found)}
    if isinstance(found, dict):
        if all(isinstance(v, int) for v in found.values()):
            return {str(name): index for name, index in found.items()}
        if all(_is_index(k) and isinstance(v, str) for k, v in found.items()):
            return {name: int(index) for index, name in found.items()}
    raise UsageError(
        f"{path}: a class-name file has a name a line, or is JSON: a list of names, or a dict of "
        "names and indices"
    )


def _by_name(folders: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """Position of each folder among ``names``, whatever case and whether with _ or blanks."""

    def plain(name: str) -> str:
        return name.casefold().replace("_", " ").strip()

    index = {plain(name): position for position, name in enumerate(names)}
    found = [index.get(plain(folder), -1) for folder in folders]
    return found if len(index) == len(names) > 0 and min(found, default=-1) >= 0 else None


def map_classes(
    folders: Sequence[str],
    classes: int,
    given: Path | Mapping[str, int] | None = None,
    model_names: Sequence[str] = (),
) -> ClassMap:
    """Give every folder its class index.

    ``given`` is a class-name file, or the index of each name. Without it: folders named by numbers
    below ``classes`` are those indices; folders named as in ``model_names``, the C names that the
    model's file has, are those classes; else sorted order, as torchvision's ImageFolder has it.

    Raises `InputError` if a folder is not given or there are more folders than classes,
    `UsageError` if the file is malformed.
    """
    index: Mapping[str, int] = {}
    if given is not None:
        by_hand = isinstance(given, Mapping)
        index = given if isinstance(given, Mapping) else _read_names(given)
        source = "given by hand" if by_hand else str(given)
        unknown = [folder for folder in folders if folder not in index]
        if unknown:
            raise InputError(
                f"{'the given order' if by_hand else given}: does not name the folder "
                f"{unknown[0]!r}"
            )
        of_folder = [index[folder] for folder in folders]
    elif all(_is_index(folder) and int(folder) < classes for folder in folders):
        of_folder, source = [int(folder) for folder in folders], "folder numbers"
    elif (known := _by_name(folders, model_names)) is not None:
        of_folder, source = known, "the model's own names"
    else:
        of_folder, source = list(range(len(folders))), "sorted order"
    if any(len(name) > _MAX_NAME for name in (*folders, *index)):
        raise InputError(f"a class name has more than {_MAX_NAME} characters")
    unfit = not all(0 <= i < classes for i in of_folder)
    if unfit or len(set(of_folder)) < len(of_folder):
        raise InputError(
            f"{len(folders)} class folders do not fit a network of {classes} classes; "
            "say which is which with --labels FILE (a class name a line, in the network's order)"
        )
    names = list(model_names) or [f"class {i}" for i in range(classes)]
    for name, i in index.items():
        if 0 <= i < classes:
            names[i] = name
    for folder, i in zip(folders, of_folder, strict=True):
        names[i] = folder
    return ClassMap(tuple(names), tuple(of_folder), source)
