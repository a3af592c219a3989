"""Which class each folder stands for, and what the classes are called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bdshift.errors import ClassesDoNotFit, InputError, UsageError
from bdshift.files import KeptPath, open_regular, usable
from bdshift.json_data import parse_json
from bdshift.words import Sentence

_MAX_FILE_BYTES = 16 * 1024 * 1024  # of a class-name file: about 500 000 names
_MAX_VALUES = 1_000_000  # in it, if it is JSON
_MAX_NAME_LENGTH = 200  # characters of a class name
_MAX_INDEX_DIGITS = 9

LEFT_OUT = -1
"""Stands for the class of a folder that takes no part."""
# Files that people and tools put next to a model or its images. wnids.txt is not one: networks are
# rarely numbered like it.
_NAME_FILES = (
    "classes.txt", "class_names.txt", "classnames.txt", "labels.txt", "names.txt", "synset.txt",
    "categories.txt", "class_names.json", "classes.json", "class_to_idx.json", "idx_to_class.json",
    "class_indices.json", "class_index.json", "imagenet_class_index.json", "labels.json",
    "id2label.json", "label2id.json", "label_map.json", "index_to_name.json", "cat_to_name.json",
)  # fmt: skip


@dataclass(frozen=True)
class ClassMap:
    """Names of the network's classes, and the class of each folder.

    Attributes:
        names: of all C classes; those without a folder or name are called "class 7".
        of_folder: class index of each folder; `LEFT_OUT` for one that takes no part.
        source: where the order comes from: "sorted order", "folder numbers", "the model's own
            names", "given by hand" or the path of a class-name file.
        in_order: whether the folders were taken in sorted order, as nothing says what they are.
        guessed: whether folders are missing and the others are only sorted, so that nothing says
            which of the classes they are.
    """

    names: tuple[str, ...]
    of_folder: tuple[int, ...]
    source: Sentence
    in_order: bool = False
    guessed: bool = False


def _is_index(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MAX_INDEX_DIGITS


def _read_names(path: Path) -> dict[str, int]:
    try:
        with open_regular(path) as stream:
            data = stream.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise InputError("is too large for a list of names")
        text = data.decode("utf-8-sig")
    except InputError as error:
        raise InputError(
            "{path}: cannot be read as text ({reason})", path=path, reason=error.sentence
        ) from error
    except FileNotFoundError as error:
        raise InputError(
            "{path}: there is no such file; a file of labels has a class in each line", path=path
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            "{path}: cannot be read as text ({reason})", path=path, reason=str(error)
        ) from error
    try:
        found = parse_json(text, _MAX_VALUES)
    except InputError:
        found = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return {name: index for index, name in enumerate(found)}
    if isinstance(found, dict) and found:
        if all(type(v) is int for v in found.values()):
            return {str(name): index for name, index in found.items()}
        if all(_is_index(k) for k in found):
            rows = [(int(k), v if isinstance(v, list) else [v]) for k, v in found.items()]
            if all(isinstance(name, str) for _, names in rows for name in names):
                return {name: index for index, names in rows for name in names}
    raise UsageError(
        "{path}: a class-name file has one name per line, or is JSON: a list of names, or a dict "
        "of names and indices",
        path=path,
    )


def _by_name(folders: Sequence[str], index: Mapping[str, int]) -> list[int] | None:
    """The class of each folder by its name, ignoring case and the differences between _, - and
    spaces; of several names for a class ("tench, Tinca tinca") each counts. None if a folder has
    none, or a name stands for several classes.
    """

    def plain(name: str) -> str:
        return re.sub(r"[\s_-]+", " ", name.casefold()).strip()

    wholes: dict[str, set[int]] = {}
    parts: dict[str, set[int]] = {}
    for name, position in index.items():
        wholes.setdefault(plain(name), set()).add(position)
        for part in name.split(",") if "," in name else ():
            parts.setdefault(plain(part), set()).add(position)
    found: list[int] = []
    for folder in map(plain, folders):
        places = wholes.get(folder) or parts.get(folder) or set()
        if len(places) != 1:
            return None
        found += places
    return found if len(set(found)) == len(found) else None


def _name_files(places: Sequence[Path]) -> Iterator[tuple[Path, dict[str, int]]]:
    """The class-name files in these folders, and what they hold."""
    for place in dict.fromkeys(places):
        for name in _NAME_FILES:
            try:
                index = _read_names(place / name)
            except (InputError, UsageError):
                continue
            yield place / name, index


def _in_files_near(
    folders: Sequence[str], classes: int, places: Sequence[Path]
) -> tuple[list[int], Path] | None:
    """The class of each folder as a class-name file in one of these places has it, and that file.
    It must number all classes and know all folders.
    """
    for path, index in _name_files(places):
        found = _by_name(folders, index)
        if found is not None and set(index.values()) == set(range(classes)):
            return found, path
    return None


def _are_numbers(folders: Sequence[str], index: Mapping[str, int]) -> bool:
    """Whether the folders are the classes' numbers and not names of ``index``."""
    return all(_is_index(folder) and folder not in index for folder in folders)


def names_in_order(
    folders: Sequence[str],
    given: Path | KeptPath | Mapping[str, int] | None,
    places: Sequence[Path],
) -> tuple[tuple[str, ...], Path | KeptPath | None]:
    """The names of all classes for a network that does not say how many it has, and the class-name
    file that lists them; None for the names of the folders, or given ones.

    ``given`` and ``places`` are as in `map_classes`. Of several names of a class, the last counts.

    Raises `UsageError` if a file is malformed or leaves out a number.
    """
    if isinstance(given, Mapping):
        return _ordered(given), None
    if given is not None:
        return _ordered(_read_names(usable(given))), given
    for path, index in _name_files(places):
        numbers = set(index.values())
        numbered = _are_numbers(folders, index) and set(map(int, folders)) <= numbers
        if numbers == set(range(len(numbers))) and (
            numbered or _by_name(folders, index) is not None
        ):
            return _ordered(index), path
    return tuple(folders), None


def _ordered(index: Mapping[str, int]) -> tuple[str, ...]:
    by_number = {number: name for name, number in index.items() if number != LEFT_OUT}
    if sorted(by_number) != list(range(len(by_number))):
        raise UsageError("the names of the classes leave out a number between 0 and the last one")
    return tuple(by_number[number] for number in range(len(by_number)))


def unlabeled_classes(
    classes: int,
    given: Path | KeptPath | Mapping[str, int] | None = None,
    model_names: Sequence[str] = (),
    places: Sequence[Path] = (),
) -> ClassMap:
    """What the classes are called that a network predicts for images without labels; the "folder"
    of an image is the class itself. The arguments are those of `map_classes`.

    Raises `InputError` if ``given`` has a number that is no class, `UsageError` if it is malformed.
    """
    index: Mapping[str, int] = {name: i for i, name in enumerate(model_names)}
    source = Sentence("the model's own names") if model_names else Sentence("numbers")
    if isinstance(given, Mapping):
        index, source = given, Sentence("given by hand")
    elif given is not None:
        index, source = _read_names(usable(given)), Sentence("{path}", {"path": str(given)})
    elif not model_names:
        for path, found in _name_files(places):
            if sorted(found.values()) == list(range(classes)):
                index, source = found, Sentence("{path}", {"path": str(path)})
                break
    index = {name: i for name, i in index.items() if i != LEFT_OUT}
    if any(len(name) > _MAX_NAME_LENGTH for name in index):
        raise InputError("a class name has more than {most} characters", most=_MAX_NAME_LENGTH)
    if not all(0 <= i < classes for i in index.values()):
        raise InputError(
            "the class names are numbered up to {last}, but the network has "
            "{classes:|class|classes}",
            last=max(index.values()), classes=classes,
        )  # fmt: skip
    names = [f"class {i}" for i in range(classes)]
    for name, i in index.items():
        names[i] = name
    return ClassMap(tuple(names), tuple(range(classes)), source)


def map_classes(
    folders: Sequence[str],
    classes: int,
    given: Path | KeptPath | Mapping[str, int] | None = None,
    model_names: Sequence[str] = (),
    places: Sequence[Path] = (),
) -> ClassMap:
    """Give every folder its class index.

    ``given`` is a class-name file, or the index of each name, `LEFT_OUT` to leave a folder out;
    if none of them is a folder's, and
    all folders are numbers, those are the indices. Without it: folders named by numbers
    below ``classes`` are those indices; folders named as in ``model_names``, the C names in the
    model's file, or in a class-name file in one of the ``places`` (folders), are those classes;
    otherwise they are taken in sorted order, as torchvision's ImageFolder does, which is a guess if
    there are fewer than classes.

    Raises `InputError` if a folder is not named, `ClassesDoNotFit` if there are more folders than
    classes or all are left out, `UsageError` if the file is malformed.
    """
    index: Mapping[str, int] = {}
    in_order = False
    if given is not None:
        if isinstance(given, Mapping):
            index, source = given, Sentence("given by hand")
        else:
            index, source = _read_names(usable(given)), Sentence("{path}", {"path": str(given)})
        rest = [folder for folder in folders if index.get(folder) != LEFT_OUT]
        numbered = _are_numbers(rest, index) and max(map(int, rest), default=0) < classes
        unknown = [folder for folder in rest if folder not in index and not numbered]
        loosely = _by_name(rest, index) if unknown else None
        unknown = unknown if loosely is None else []
        if unknown and isinstance(given, Mapping):
            raise InputError(
                "the given order: does not name the folder {folder}", folder=repr(unknown[0])
            )
        if unknown:
            raise InputError(
                "{path}: does not name the folder {folder}", path=given, folder=repr(unknown[0])
            )
        classes_of = loosely or [int(one) if numbered else index[one] for one in rest]
        of_rest = dict(zip(rest, classes_of, strict=True))
        of_folder = [of_rest.get(folder, LEFT_OUT) for folder in folders]
    elif all(_is_index(folder) and int(folder) < classes for folder in folders):
        of_folder, source = [int(folder) for folder in folders], Sentence("folder numbers")
    elif (known := _by_name(folders, {name: i for i, name in enumerate(model_names)})) is not None:
        of_folder, source = known, Sentence("the model's own names")
    elif (near := _in_files_near(folders, classes, places)) is not None:
        of_folder, source = near[0], Sentence("{path}", {"path": str(near[1])})
    else:
        of_folder, source = list(range(len(folders))), Sentence("sorted order")
        in_order = True
    if any(len(name) > _MAX_NAME_LENGTH for name in (*folders, *index)):
        raise InputError("a class name has more than {most} characters", most=_MAX_NAME_LENGTH)
    used = [i for i in of_folder if i != LEFT_OUT]
    unfit = not used or not all(0 <= i < classes for i in used)
    if unfit or len(set(used)) < len(used):
        raise ClassesDoNotFit(
            "{folders:|class folder does|class folders do} not fit a network of "
            "{classes:|class|classes}; say which is which with --labels FILE (one class name per "
            "line, in the network's order; or JSON, where −1 leaves a folder out)",
            folders=len(folders), classes=classes,
        )  # fmt: skip
    names = list(model_names) or [f"class {i}" for i in range(classes)]
    words_of = {i: name for name, i in index.items() if not _is_index(name)}
    for name, i in index.items():
        if 0 <= i < classes:
            names[i] = words_of.get(i, name)
    for folder, i in zip(folders, of_folder, strict=True):
        own = given is None or (folder in index and (i not in words_of or not _is_index(folder)))
        if own and i != LEFT_OUT:
            names[i] = folder
    guessed = in_order and len(folders) < classes
    return ClassMap(tuple(names), tuple(of_folder), source, in_order, guessed)
