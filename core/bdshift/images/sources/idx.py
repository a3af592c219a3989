"""IDX files of MNIST, Fashion-MNIST, KMNIST and EMNIST; plain or gzipped."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.sources.arrays import (
    ArrayImages,
    ArrayPart,
    ArrayRows,
    FileRows,
    MemoryRows,
    class_numbers,
)
from bdshift.images.sources.base import MAX_LABEL_BYTES, MAX_UNPACKED, Source
from bdshift.images.sources.naming import check_count
from bdshift.images.sources.unpack import Forward, is_compressed, open_unpacked
from bdshift.words import Sentence

_IMAGES, _LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"  # bytes, with three axes and with one
_NAME = re.compile(r"(?P<set>.*?)(?P<kind>images|labels)[-._]idx[13][-._]ubyte(?P<gz>\.gz)?", re.I)
_TRAINING = re.compile(r"train", re.I)


def is_idx(head: bytes) -> bool:
    """Whether a file that, once unpacked, starts like this holds images or labels."""
    return head[:4] in (_IMAGES, _LABELS)


def idx_sets(names: Iterable[str]) -> dict[str, str]:
    """The image files among a folder's names, by the name of their set; plain before gzipped.

    Empty if the folder holds none.
    """
    found: dict[str, str] = {}
    for name in sorted(names, key=len):
        matched = _NAME.fullmatch(name)
        if matched and matched["kind"].lower() == "images":
            found.setdefault(matched["set"].rstrip("-._"), name)
    return found


def open_idx_folder(path: Path, sets: dict[str, str]) -> Source:
    """The one set in a folder that is not for training. Raises `InputError` if there are more."""
    tests = [name for name in sets if not _TRAINING.search(name)] or list(sets)
    if len(tests) > 1:
        raise InputError("holds {files}; open one of them", files=tuple(sets[one] for one in tests))
    chosen = sets[tests[0]]
    others = tuple(file for file in sets.values() if file != chosen)
    taken = Sentence("Took {file}, and not {others}", {"file": chosen, "others": others})
    return open_idx(path / chosen, [taken] if others else [])


def open_idx(path: Path, notes: Iterable[Sentence] = ()) -> Source:
    """Either file of a pair; the other one is found next to it, by name.

    Raises `InputError` if it is not there, or if the two do not fit.
    """
    with open_unpacked(path) as stream:
        given = stream.read(4)
    if given == _IMAGES:
        images, labels = (
            path,
            _partner(path, "labels", Sentence("its label file is not in the same folder")),
        )
    else:
        images, labels = (
            _partner(path, "images", Sentence("its image file is not in the same folder")),
            path,
        )
    matched = _NAME.fullmatch(images.name)
    name = matched["set"].rstrip("-._") if matched else ""
    part = ArrayPart(name or images.name, _rows(images), class_numbers(_labels(labels)))
    return ArrayImages([part], notes=notes)


def _partner(path: Path, kind: str, missing: Sentence) -> Path:
    """The file of the same set and another kind: dashes or dots, gzipped or not. ``missing`` says
    that it is not there.
    """
    matched = _NAME.fullmatch(path.name)
    if matched is None:
        raise InputError(
            "is not named like MNIST's files (t10k-images-idx3-ubyte), so the other half of the "
            "pair cannot be found"
        )
    beside = []
    for candidate in sorted(path.parent.iterdir(), key=lambda file: (len(file.name), file.name)):
        found = _NAME.fullmatch(candidate.name)
        if found and found["kind"].lower() == kind and candidate.is_file():
            same = found["set"].rstrip("-._").lower() == matched["set"].rstrip("-._").lower()
            beside += [candidate] if same else []
    if not beside:
        raise InputError(missing)
    alike = [file for file in beside if (file.suffix == ".gz") == (path.suffix == ".gz")]
    return (alike or beside)[0]


def _header(stream: Forward, magic: bytes, path: Path) -> tuple[int, ...]:
    axes = magic[3]
    head = stream.read(4 + 4 * axes)
    if head[:4] != magic or len(head) < 4 + 4 * axes:
        if magic == _IMAGES:
            raise InputError("{file} is not an IDX file of images", file=path.name)
        raise InputError("{file} is not an IDX file of labels", file=path.name)
    return tuple(int.from_bytes(head[i : i + 4], "big") for i in range(4, 4 + 4 * axes, 4))


def _too_long(path: Path) -> Sentence:
    return Sentence(
        "{file} unpacks to more than {most} MiB; gunzip it first",
        {"file": path.name, "most": MAX_UNPACKED >> 20},
    )


def _rows(path: Path) -> ArrayRows:
    with path.open("rb") as stream:
        packed = is_compressed(stream.read(8))
    with open_unpacked(path) as stream:
        forward = Forward(stream, MAX_UNPACKED if packed else None, _too_long(path))
        shape = _header(forward, _IMAGES, path)
        check_count(shape[0])
        start, size = forward.position, math.prod(shape)
        if packed:
            data = forward.read(size)
            held = len(data)
        else:
            held = path.stat().st_size - start
    if held < size:
        raise InputError("{file} is cut short", file=path.name)
    if packed:
        return MemoryRows(np.frombuffer(data, np.uint8).reshape(shape))
    return FileRows(path, start, shape[1] * shape[2], shape, np.dtype(np.uint8))


def _labels(path: Path) -> NDArray[np.uint8]:
    with open_unpacked(path) as stream:
        forward = Forward(stream, MAX_LABEL_BYTES, _too_long(path))
        (count,) = _header(forward, _LABELS, path)
        check_count(count)
        data = forward.read(count)
    if len(data) < count:
        raise InputError("{file} is cut short", file=path.name)
    return np.frombuffer(data, np.uint8)
