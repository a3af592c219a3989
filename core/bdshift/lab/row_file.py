"""Tables of rows about models with known ground truth, as CSV files: everything in them is text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from bdshift.csv_data import csv_rows, csv_text
from bdshift.lab.truths import KnownModel
from bdshift.outputs import Output

_Row = TypeVar("_Row")  # a dataclass whose fields are the columns


@dataclass(frozen=True)
class KnownRow:
    """What every row says of its model.

    Attributes:
        model, group, network, kind, targets, source, took: as in `KnownModel`; targets are joined
            by semicolons, and source is empty for all classes.
    """

    model: str
    group: str
    network: str
    kind: str
    targets: str
    source: str
    took: str


def about(known: KnownModel) -> dict[str, str]:
    """The cells of a `KnownRow`."""
    return {
        "model": known.name, "group": known.group, "network": known.network, "kind": known.kind,
        "targets": ";".join(map(str, known.targets)),
        "source": "" if known.source < 0 else str(known.source), "took": str(known.took),
    }  # fmt: skip


def _columns(kind: type[Any], *, without_default: bool = False) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind) if not without_default or one.default is MISSING)


def read_table(path: Path, kind: type[_Row], *, older: bool = True) -> list[_Row] | None:
    """The rows of a table, and none if there is no table; None if it has rows of another kind. An
    ``older`` table may lack columns that have a default.
    """
    if not path.exists():
        return []
    found = csv_rows(path.read_text(encoding="utf-8"))
    known, needed = set(_columns(kind)), set(_columns(kind, without_default=older))
    if any(not needed <= set(row) <= known for row in found):
        return None
    return [kind(**row) for row in found]


def write_table(path: Path, kind: type[_Row], rows: Iterable[_Row]) -> None:
    """Replace the table."""
    names = _columns(kind)
    lines = ([getattr(row, name) for name in names] for row in rows)
    Output(path, overwrite=True).write_text(csv_text([names, *lines]))
