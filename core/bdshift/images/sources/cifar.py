"""CIFAR-10 and CIFAR-100, binary or pickled: one of the files, or the whole folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bdshift.errors import InputError
from bdshift.images.sources.arrays import (
    ArrayImages,
    ArrayPart,
    FileRows,
    MemoryRows,
    class_numbers,
)
from bdshift.images.sources.base import Source
from bdshift.images.sources.naming import check_count
from bdshift.images.sources.pickled import pickled_array
from bdshift.pickle_data import read_pickle
from bdshift.pickle_values import PickleError
from bdshift.words import Sentence

_MAX_PICKLE_BYTES = 256 * 1024 * 1024  # CIFAR-100's training file takes 148 MiB
_MAX_NAMES_BYTES = 1024 * 1024  # of a file of class names
_PIXELS = 3 * 32 * 32
_TEN, _HUNDRED = 1 + _PIXELS, 2 + _PIXELS  # bytes of a record: one label, or coarse and fine
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_META = ("batches.meta", "meta", "batches.meta.txt", "fine_label_names.txt")
_LABELS = ("labels", "fine_labels")


def cifar_files(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Which of a folder's files to read, and which of CIFAR's files in it are left out.

    Networks are trained on the training files, and a clean set should be images they have not seen:
    in a whole data set, that is the test file. Both are empty for any other folder.
    """
    held = set(names)
    for suffix, meta in (("", _META[:2]), (".bin", _META[2:])):
        test = [f"test_batch{suffix}"] if f"test_batch{suffix}" in held else []
        train = [f"{name}{suffix}" for name in _BATCHES if f"{name}{suffix}" in held]
        if not (test or train) and held & set(meta):
            # CIFAR-100's names are too common to be enough on their own.
            test = [f"test{suffix}"] if f"test{suffix}" in held else []
            train = [f"train{suffix}"] if f"train{suffix}" in held else []
        if test or train:
            return (test, train) if test else (train, [])
    return [], []


def open_cifar_folder(path: Path, chosen: list[str], others: list[str]) -> Source:
    """The files of a folder that `cifar_files` chose. Raises `InputError`."""
    values = {"file": chosen[0], "others": tuple(others)}
    notes = [Sentence("Took {file}, and not {others}", values)] if others else []
    return open_cifar([path / name for name in chosen], notes, in_folder=True)


def open_cifar(
    files: Iterable[Path], notes: Iterable[Sentence] = (), *, in_folder: bool = False
) -> Source:
    """Some files of one data set; ``in_folder`` if it is their folder that is opened, so that
    errors must name the file.

    Raises `InputError` if one of them is not a file of CIFAR, or broken.
    """
    parts = []
    names = None
    for file in files:
        record = cifar_record(file)
        try:
            parts.append(_pickled(file) if record is None else _binary(file, record))
        except InputError as error:
            if not in_folder:
                raise
            raise error.at(file.name) from error
        names = names or _class_names(file.parent, int(parts[-1].labels.max()) + 1)
    return ArrayImages(parts, names, notes=notes)


def cifar_record(path: Path) -> int | None:
    """Bytes per record if the file is a binary batch, judging by its name and size."""
    size = path.stat().st_size
    if path.suffix.lower() != ".bin" or not size:
        return None
    fitting = [record for record in (_TEN, _HUNDRED) if size % record == 0]
    return fitting[0] if fitting else None


def _binary(path: Path, record: int) -> ArrayPart:
    count = path.stat().st_size // record
    check_count(count)
    labels = np.empty(count, np.uint8)
    with path.open("rb") as stream:
        for row in range(count):  # not the whole file: there is a label every 3 KiB
            stream.seek(row * record + record - _PIXELS - 1)
            labels[row] = stream.read(1)[0]
    classes = 10 if record == _TEN else 100
    if labels.max() >= classes:
        raise InputError(
            "is not a batch of CIFAR-{classes}: it has the label {label}",
            classes=classes, label=int(labels.max()),
        )  # fmt: skip
    shape = (count, 3, 32, 32)
    rows = FileRows(path, record - _PIXELS, record, shape, np.dtype(np.uint8))
    return ArrayPart(path.stem, rows, class_numbers(labels))


def _pickled(path: Path) -> ArrayPart:
    """A pickled batch. Its data stay in memory: a pickle does not say where they are."""
    found = _read_pickle(path, _MAX_PICKLE_BYTES)
    pixels = pickled_array(found.get("data"))
    key = next((key for key in _LABELS if key in found), None)
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 2 or key is None:
        raise InputError("is a pickle, but not a batch of CIFAR: it has no data and labels")
    labels = found[key]
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise InputError("has labels that are not a list of numbers")
    side = math.isqrt(pixels.shape[1] // 3)
    if not side or pixels.shape[1] != 3 * side * side:
        raise InputError(
            "has rows of {size:|byte|bytes}, which are not square images", size=pixels.shape[1]
        )
    rows = MemoryRows(pixels.reshape(-1, 3, side, side))
    return ArrayPart(path.name, rows, class_numbers(np.array(labels)))


def _read_pickle(path: Path, most: int) -> dict[str, Any]:
    """A dict, read without running anything. Keys may be Python 2's bytes or Python 3's text."""
    if path.stat().st_size > most:
        raise InputError("is a pickle of more than {most} MiB", most=most >> 20)
    try:
        with path.open("rb") as stream:
            value = read_pickle(stream).value
    except PickleError as error:
        raise InputError("is not a batch of CIFAR ({reason})", reason=error.sentence) from error
    if not isinstance(value, Mapping):
        raise InputError("is a pickle, but not a batch of CIFAR: it holds no dict")
    return {_text(key): item for key, item in value.items() if isinstance(key, str | bytes)}


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _class_names(folder: Path, classes: int) -> list[str] | None:
    """The names in a file next to the batch, if there is one with enough of them. They are only
    names: a broken file is ignored.
    """
    for name in _META:
        path = folder / name
        if not path.is_file() or path.stat().st_size > _MAX_NAMES_BYTES:
            continue
        held: dict[str, Any] = {}
        if path.suffix == ".txt":
            text = path.read_text(encoding="utf-8", errors="replace")
            found: Any = [line.strip() for line in text.splitlines() if line.strip()]
        else:
            with suppress(InputError):
                held = _read_pickle(path, _MAX_NAMES_BYTES)
            found = held.get("fine_label_names", held.get("label_names"))
        if isinstance(found, list) and classes <= len(found):
            return [_text(entry) for entry in found if isinstance(entry, str | bytes)]
    return None
