"""Tables as CSV: written so that no spreadsheet runs them, and read within bounds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from bdshift.errors import InputError
from bdshift.text import one_line

_BEGIN_FORMULAS = tuple("=+-@＝＋－＠")  # the wide ones are those of Japanese spreadsheets
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


def csv_text(rows: Iterable[Iterable[object]], separator: str = ",") -> str:
    """Rows as CSV, or with another ``separator``. Text may come from a hostile file: a cell of it
    is one line, and a spreadsheet does not take it for a formula, since an apostrophe is put in
    front of one.
    """
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator="\n").writerows(
        map(_csv_cell, row) for row in rows
    )
    return stream.getvalue()


def csv_rows(text: str, separator: str = ",") -> list[dict[str, str]]:
    """Rows, such as `csv_text` wrote, by the names in the first one. Their text is as it was
    before, except for line breaks.

    Raises `InputError` for a row with more cells than the first, or a cell of more than 131,072
    characters.
    """
    found = []
    try:
        for number, row in enumerate(
            csv.DictReader(io.StringIO(text), delimiter=separator, restval=""), 2
        ):
            if None in row:
                raise InputError("row {row} has more cells than the first", row=number)
            found.append({key: _unescaped(value) for key, value in row.items()})
    except csv.Error as error:
        raise InputError("it cannot be read as a table ({reason})", reason=str(error)) from error
    return found


def _unescaped(cell: str) -> str:
    is_escaped = cell[:1] == "'" and cell[1:].lstrip().startswith((*_BEGIN_FORMULAS, "'"))
    return cell[1:] if is_escaped else cell


def _csv_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = one_line(value)
    is_formula = text.lstrip().startswith(_BEGIN_FORMULAS) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula or text.startswith("'") else text
