"""Tables of models: CSV with a head, or a JSON object on each line.

A column ``model`` names the file, folder or address; ``images`` its clean set, and ``arch`` its
architecture. Others are the options of a scan by their names, such as ``normalize`` or ``labels``.
What a row leaves empty is as the command says. Relative paths begin at the table's folder.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from bdshift.audit.asked import AskedScan
from bdshift.checkpoints.prompts import PROMPT_SETS
from bdshift.csv_data import csv_rows
from bdshift.errors import InputError, UsageError
from bdshift.fleet.addresses import is_address
from bdshift.fleet.task import FleetModel
from bdshift.json_data import parse_json

_TABLES, _LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
_MAX_BYTES = 256 * 1024 * 1024
_MAX_VALUES = 1000  # in a line
_PATHS = ("model", "images", "labels", "prompts")
_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")
_KINDS = typing.get_type_hints(AskedScan)


def is_manifest(path: Path) -> bool:
    """Whether a file is called like a table."""
    return path.suffix.lower() in (*_TABLES, *_LINES)


def read_manifest(path: Path, usual: FleetModel) -> Iterator[FleetModel]:
    """The models of a table. Raises `InputError` if it cannot be read, `UsageError` with the number
    of the row whose values make no sense.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError("{path}: is larger than 256 MiB", path=path)
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "{path}: cannot be read ({reason})", path=path, reason=str(error)
        ) from error
    for number, row in _rows(path, text):
        try:
            yield _model(row, path.parent, usual)
        except (UsageError, ValueError) as error:
            reason = error.sentence if isinstance(error, UsageError) else str(error)
            raise UsageError(
                "{path}, row {row}: {reason}", path=path, row=number, reason=reason
            ) from error


def _rows(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.suffix.lower() in _TABLES:
        separator = "\t" if path.suffix.lower() == ".tsv" else ","
        try:
            yield from enumerate(csv_rows(text, separator), 2)
        except InputError as error:
            raise error.at(path) from error
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = parse_json(line, _MAX_VALUES)
            except InputError as error:
                raise error.at(f"{path}, row {number}") from error
            if not isinstance(row, dict):
                raise UsageError("{path}, row {row}: is no JSON object", path=path, row=number)
            yield number, row


def _model(row: Mapping[str, Any], folder: Path, usual: FleetModel) -> FleetModel:
    given = {key: one for key, one in row.items() if one not in (None, "")}
    for key in _PATHS:
        named = key == "prompts" and str(given.get(key)) in PROMPT_SETS
        if key in given and not named and not is_address(str(given[key])):
            given[key] = os.path.abspath(folder / str(given[key]))
    if "model" not in given:
        raise UsageError("it names no model")
    if "images" not in given and not usual.images:
        raise UsageError("it names no images, nor does --images")
    known = {one.name for one in fields(AskedScan)}
    unknown = given.keys() - known - {"model", "images", "arch"}
    if unknown:
        raise UsageError("{names} is no option of a scan", names=tuple(sorted(map(str, unknown))))
    asked = {key: _value(key, one) for key, one in given.items() if key in known}
    return FleetModel(
        path=str(given["model"]),
        images=str(given.get("images", usual.images)),
        asked=replace(usual.asked, **asked),
        arch=str(given["arch"]) if "arch" in given else usual.arch,
    )


def _value(key: str, given: Any) -> Any:
    """An option's value, from the text of a cell or from JSON."""
    kind = _KINDS[key]
    text = str(given).strip()
    if kind is bool:
        if text.lower() not in (*_YES, *_NO):
            raise UsageError("{name} is yes or no, not {value}", name=key, value=text)
        return text.lower() in _YES
    if kind is float:
        return float(text)
    if kind in (int, int | None):
        return int(text)
    if kind == tuple[str, ...]:
        return tuple(map(str, given)) if isinstance(given, list) else tuple(text.split(";"))
    return text
