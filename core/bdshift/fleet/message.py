"""What processes of a fleet say to each other: dataclasses as lines of JSON."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from bdshift.store.datasets import Datasets
from bdshift.store.typed import Reader, plain

_Kind = TypeVar("_Kind")


class _NoDatasets(Datasets):
    """Of dataclasses without arrays."""

    def __init__(self) -> None:
        """There is no file."""

    def __contains__(self, name: str) -> bool:
        return False


def line_of(value: Any) -> bytes:
    """A dataclass as one line."""
    return json.dumps(plain(value)).encode() + b"\n"


def read_line(kind: type[_Kind], line: bytes | str) -> _Kind:
    """A dataclass from `line_of`. Raises ValueError or TypeError if it is none."""
    made: _Kind = Reader(_NoDatasets(), {}).build(kind, json.loads(line))
    return made
