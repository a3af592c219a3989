"""MNIST's IDX files, also of Fashion-MNIST, KMNIST and EMNIST; plain or gzipped."""

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
    FileRows,
    MemoryRows,
    Part,
    Rows,
    class_numbers,
)
from bdshift.images.sources.base import MAX_LABEL_BYTES, MAX_UNPACKED, Source
from bdshift.images.sources.unpack import Forward, is_compressed, open_unpacked

_IMAGES, _LABELS = b"\0\0\x08\x03", b"\0\0\x08\x01"  # bytes, of three axes and of one
_NAME = re.compile(r"(?P<set>.*?)(?P<kind>images|labels)[-._]idx[13][-._]ubyte(?P<gz>\.gz)?", re.I)
_TRAINING = re.compile(r"train", re.I)


def is_idx(head: bytes) -> bool:
    """Whether a file, unpacked, that starts like this holds pictures or labels."""
    return head[:4] in (_IMAGES, _LABELS)


def idx_sets(names: Iterable[str]) -> dict[str, str]:
    """The picture files among a folder's names, by what their set is called; plain before gzipped.

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
        raise InputError(f"holds {', '.join(map(sets.__getitem__, tests))}; open one of them")
    others = ", ".join(file for name, file in sets.items() if name != tests[0])
    notes = [f"Took {sets[tests[0]]}, and not {others}"] if others else []
    return open_idx(path / sets[tests[0]], notes)


def open_idx(path: Path, notes: Iterable[str] = ()) -> Source:
    """Either file of a pair; the other one is found beside it, by its name.

    Raises `InputError` if it is not there, or they do not fit.
    """
    with open_unpacked(path) as stream:
        given = stream.read(4)
    other = _partner(path, "labels" if given == _IMAGES else "images")
    images, labels = (path, other) if given == _IMAGES else (other, path)
    matched = _NAME.fullmatch(images.name)
    name = matched["set"].rstrip("-._") if matched else ""
    part = Part(name or images.name, _rows(images), class_numbers(_labels(labels)))
    return ArrayImages([part], notes=notes)


def _partner(path: Path, kind: str) -> Path:
    """The file of the same set and another kind: dashes or dots, gzipped or not."""
    matched = _NAME.fullmatch(path.name)
    if matched is None:
        raise InputError(
            f"is called unlike MNIST's files (t10k-images-idx3-ubyte), so that its "
            f"{kind} cannot be found"
        )
    beside = []
    for candidate in sorted(path.parent.iterdir(), key=lambda file: (len(file.name), file.name)):
        found = _NAME.fullmatch(candidate.name)
        if found and found["kind"].lower() == kind and candidate.is_file():
            same = found["set"].rstrip("-._").lower() == matched["set"].rstrip("-._").lower()
            beside += [candidate] if same else []
    if not beside:
        raise InputError(f"its {kind} are not beside it")
    alike = [file for file in beside if (file.suffix == ".gz") == (path.suffix == ".gz")]
    return (alike or beside)[0]


def _header(stream: Forward, magic: bytes, path: Path) -> tuple[int, ...]:
    axes = magic[3]
    head = stream.read(4 + 4 * axes)
    if head[:4] != magic or len(head) < 4 + 4 * axes:
        raise InputError(f"{path.name} is no IDX file of {'pictures' if axes == 3 else 'labels'}")
    return tuple(int.from_bytes(head[i : i + 4], "big") for i in range(4, 4 + 4 * axes, 4))


def _too_long(path: Path) -> str:
    return f"{path.name} unpacks to more than {MAX_UNPACKED >> 20} MiB; gunzip it first"


def _rows(path: Path) -> Rows:
    with path.open("rb") as stream:
        packed = is_compressed(stream.read(8))
    with open_unpacked(path) as stream:
        forward = Forward(stream, MAX_UNPACKED if packed else None, _too_long(path))
        shape = _header(forward, _IMAGES, path)
        start, size = forward.position, math.prod(shape)
        if packed:
            data = forward.read(size)
            held = len(data)
        else:
            held = path.stat().st_size - start
    if held < size:
        raise InputError(f"{path.name} is cut short")
    if packed:
        return MemoryRows(np.frombuffer(data, np.uint8).reshape(shape))
    return FileRows(path, start, shape[1] * shape[2], shape, np.dtype(np.uint8))


def _labels(path: Path) -> NDArray[np.uint8]:
    with open_unpacked(path) as stream:
        forward = Forward(stream, MAX_LABEL_BYTES, _too_long(path))
        (count,) = _header(forward, _LABELS, path)
        data = forward.read(count)
    if len(data) < count:
        raise InputError(f"{path.name} is cut short")
    return np.frombuffer(data, np.uint8)
