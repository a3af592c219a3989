"""Images and labels in columns, in one file or in several that belong together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdshift.errors import InputError
from bdshift.images.sources.arrays import name_classes
from bdshift.images.sources.base import ImageFile, Source
from bdshift.images.sources.naming import check_count
from bdshift.json_data import parse_json
from bdshift.words import Sentence

_IMAGES = "image img picture x".split()
_LABELS = "label labels fine_label target class y digit".split()
_MAX_VALUES = 1_000_000  # of what is told about the columns
_MAX_LISTED = 12  # columns in an error
_MAX_KEPT_BYTES = 128 * 1024 * 1024  # images of parts of a file that are kept for later requests
_BINARY = ("binary", "large_binary", "binary_view")


class Shard(ABC):
    """One file of images in a column.

    Attributes:
        column: name of the images' column.
        numbers: class numbers of its rows, int64 (n,).
        names: of the classes, by number, if the file has them.
    """

    column: str
    numbers: NDArray[np.int64]
    names: list[str] | None

    @abstractmethod
    def image(self, row: int) -> bytes:
        """The encoded image in a row. Thread-safe. Raises as `Source.read` does."""


class ShardImages(Source):
    """Images of one or several files, named like "image/00042" by column and row, behind the name
    of the file if there are several.
    """

    def __init__(self, shards: Mapping[str, Shard], notes: Iterable[Sentence] = ()) -> None:
        check_count(sum(len(shard.numbers) for shard in shards.values()))
        several = len(shards) > 1
        self._places = {
            (f"{name}/" if several else "") + shard.column: shard for name, shard in shards.items()
        }
        numbers = np.concatenate([shard.numbers for shard in shards.values()])
        names = next((shard.names for shard in shards.values() if shard.names), None)
        folders, positions = name_classes(numbers, names)
        keys = [
            f"{place}/{row:05d}"
            for place, shard in self._places.items()
            for row in range(len(shard.numbers))
        ]
        order = np.argsort(positions, kind="stable").tolist()
        files = [ImageFile(keys[row], int(positions[row])) for row in order]
        super().__init__(folders, files, (), notes)

    def read(self, name: str, most: int) -> bytes:
        """See `Source`."""
        place, _, number = name.rpartition("/")
        row = int(number) if number.isdecimal() and len(number) < 10 else -1
        shard = self._places.get(place)
        if shard is None or not 0 <= row < len(shard.numbers):
            raise InputError("not in the file")
        return shard.image(row)[: most + 1]


class KeptParts:
    """Images of parts of a file, as many parts as fit into memory; why others were refused, so that
    each is tried only once.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Sequence[bytes | None]] = OrderedDict()
        self._held = 0  # bytes
        self.refused: dict[int, Sentence] = {}

    def get(self, part: int) -> Sequence[bytes | None] | None:
        """Those of a part, if they are kept."""
        if part in self._kept:
            self._kept.move_to_end(part)
        return self._kept.get(part)

    def keep(self, part: int, pictures: Sequence[bytes | None]) -> None:
        """Keep a part, and drop the ones that were not used for longest."""
        self._kept[part] = pictures
        self._held += sum(len(data or b"") for data in pictures)
        while self._held > _MAX_KEPT_BYTES and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._held -= sum(len(data or b"") for data in dropped)


def pick_columns(schema: Any) -> tuple[str, str, list[str] | None]:
    """The columns of images and labels in an Arrow schema, and the names of the classes.

    Raises `InputError` if it is unclear which they are, or they hold something else.
    """
    features = _features(schema.metadata or {})
    column = _pick(schema.names, features, "Image", _IMAGES)
    label = _pick(schema.names, features, "ClassLabel", _LABELS)
    columns = tuple(schema.names[:_MAX_LISTED])
    if column is None:
        raise InputError(
            "has no column that is clearly the image's ({usual}); its columns are {columns}",
            usual=_IMAGES[0], columns=columns,
        )  # fmt: skip
    if label is None:
        raise InputError(
            "has no column that is clearly the label's ({usual}); its columns are {columns}",
            usual=_LABELS[0], columns=columns,
        )  # fmt: skip
    if not str(schema.field(label).type).startswith(("int", "uint", "bool")):
        raise InputError("its column {column} holds no class numbers", column=label)
    names = features.get(label, {}).get("names")
    known = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return column, label, names if known else None


def _features(metadata: dict[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """What ``datasets`` recorded about each column; empty if it did not write the file."""
    try:
        about = parse_json(metadata.get(b"huggingface", b"{}"), _MAX_VALUES)
        found = about["info"]["features"]
    except (InputError, LookupError, TypeError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def _pick(
    columns: list[str], features: dict[str, dict[str, Any]], kind: str, usual: list[str]
) -> str | None:
    """The column of that kind, the usual names first; None if it is unclear which one it is."""
    declared = [name for name in columns if features.get(name, {}).get("_type") == kind]
    for name in usual:
        if name in (declared or columns):
            return name
    return declared[0] if len(declared) == 1 else None


def leaf_of(field: Any) -> str:
    """Path of the bytes: the column itself, or its field ``bytes``."""
    if str(field.type) in _BINARY:
        return str(field.name)
    if field.type.num_fields and field.type.get_field_index("bytes") >= 0:
        child = field.type.field(field.type.get_field_index("bytes"))
        if str(child.type) in _BINARY:
            return f"{field.name}.bytes"
    raise InputError(
        "its column {column} holds no encoded images ({kind})",
        column=str(field.name), kind=str(field.type),
    )  # fmt: skip
