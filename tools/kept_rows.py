"""Rows of a CSV that a tool adds to, run after run: everything in them is text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bdshift.csv_data import csv_rows, csv_text
from bdshift.outputs import Output


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows so far; none if there is no file."""
    return csv_rows(path.read_text(encoding="utf-8")) if path.exists() else []


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Replace them."""
    lines = ([row.get(name, "") for name in columns] for row in rows)
    Output(path, overwrite=True).write_text(csv_text([columns, *lines]))
