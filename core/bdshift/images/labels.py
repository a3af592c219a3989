"""Which class each folder stands for, and what the classes are called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bdshift.errors import InputError, UsageError
from bdshift.words import Sentence

_MAX_FILE_BYTES = 16 * 1024 * 1024  # of a class-name file: about 500 000 names
_MAX_NAME_LENGTH = 200  # characters of a class name
_MAX_INDEX_DIGITS = 9


@dataclass(frozen=True)
class ClassMap:
    """Names of the network's classes, and the class of each folder.

    Attributes:
        names: of all C classes; those without a folder or name are called "class 7".
        of_folder: class index of each folder.
        source: where the order comes from: "sorted order", "folder numbers", "the model's own
            names", "given by hand" or the path of a class-name file.
    """

    names: tuple[str, ...]
    of_folder: tuple[int, ...]
    source: Sentence


def _is_index(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MAX_INDEX_DIGITS


def _read_names(path: Path) -> dict[str, int]:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError("{path}: cannot be read as text (not a text file)", path=path)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "{path}: cannot be read as text ({reason})", path=path, reason=str(error)
        ) from error
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
        "{path}: a class-name file has one name per line, or is JSON: a list of names, or a dict "
        "of names and indices",
        path=path,
    )


def _by_name(folders: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """Position of each folder among ``names``, ignoring case and the difference between _ and
    spaces.
    """

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
    below ``classes`` are those indices; folders named as in ``model_names``, the C names in the
    model's file, are those classes; otherwise they are taken in sorted order, as torchvision's
    ImageFolder does.

    Raises `InputError` if a folder is not named or there are more folders than classes,
    `UsageError` if the file is malformed.
    """
    index: Mapping[str, int] = {}
    if given is not None:
        if isinstance(given, Mapping):
            index, source = given, Sentence("given by hand")
        else:
            index, source = _read_names(given), Sentence("{path}", {"path": str(given)})
        unknown = [folder for folder in folders if folder not in index]
        if unknown and isinstance(given, Mapping):
            raise InputError(
                "the given order: does not name the folder {folder}", folder=repr(unknown[0])
            )
        if unknown:
            raise InputError(
                "{path}: does not name the folder {folder}", path=given, folder=repr(unknown[0])
            )
        of_folder = [index[folder] for folder in folders]
    elif all(_is_index(folder) and int(folder) < classes for folder in folders):
        of_folder, source = [int(folder) for folder in folders], Sentence("folder numbers")
    elif (known := _by_name(folders, model_names)) is not None:
        of_folder, source = known, Sentence("the model's own names")
    else:
        of_folder, source = list(range(len(folders))), Sentence("sorted order")
    if any(len(name) > _MAX_NAME_LENGTH for name in (*folders, *index)):
        raise InputError("a class name has more than {most} characters", most=_MAX_NAME_LENGTH)
    unfit = not all(0 <= i < classes for i in of_folder)
    if unfit or len(set(of_folder)) < len(of_folder):
        raise InputError(
            "{folders:|class folder does|class folders do} not fit a network of "
            "{classes:|class|classes}; say which is which with --labels FILE (one class name per "
            "line, in the network's order)",
            folders=len(folders), classes=classes,
        )  # fmt: skip
    names = list(model_names) or [f"class {i}" for i in range(classes)]
    for name, i in index.items():
        if 0 <= i < classes:
            names[i] = name
    for folder, i in zip(folders, of_folder, strict=True):
        names[i] = folder
    return ClassMap(tuple(names), tuple(of_folder), source)
