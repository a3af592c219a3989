"""The rows of a table: sorted, filtered, and as text for a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor, QFont

from bdshift.csv_data import csv_text
from bdshift.text import figure, natural_key, one_line
from bdshift_gui.plain import as_tip

Index = QModelIndex | QPersistentModelIndex

UNSORTED = ("", Qt.SortOrder.AscendingOrder)
"""The rows as they were given."""

_MAX_MEASURED = 1000  # numbers of a column whose digits are measured, of each kind
_NO_FLAG = Qt.ItemFlag(0)
_DIGIT = re.compile(r"[0-9]")
_WHOLE_PART = re.compile(r"[−+]?[0-9,]+")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: its name in the settings, in no language.
        head: what is written above it; ``tip`` explains that.
        values: int64 or float64 (n,), NaN where there is none; the column is sorted by them.
        texts: what is shown, if that is not numbers; sorted as names if there are no ``values``.
        form: how a number is shown.
        tips: more about each cell; the text itself if there is none.
        named: what is shown for a text, if it stands for something else.
        bars: numbers that are drawn in each row in place of its value, with zero as their base.
        marked: which of those is the suspected class's, −1 for none; of each row.
        edit: takes what the user typed into a row, and changes ``texts``; None if nobody may.
    """

    key: str
    head: str
    values: NDArray[Any] | None = None
    texts: Sequence[str] | None = None
    form: Callable[[float], str] = figure
    tip: str = ""
    tips: Sequence[str] = field(default=())
    named: Callable[[str], str] | None = None
    bars: Sequence[Sequence[float]] = ()
    marked: Sequence[int] = ()
    edit: Callable[[int, str], None] | None = None

    def __len__(self) -> int:
        if self.texts is not None:
            return len(self.texts)
        return 0 if self.values is None else len(self.values)

    @property
    def is_number(self) -> bool:
        """Whether numbers are shown."""
        return self.texts is None

    def text(self, row: int) -> str:
        """What is shown in a row."""
        if self.texts is not None:
            text = self.texts[row]
            return one_line(text if self.named is None else self.named(text))
        assert self.values is not None
        value = self.values[row].item()
        return str(value) if isinstance(value, int) and self.form is figure else self.form(value)

    def exact(self, row: int) -> object:
        """The same for a spreadsheet, with all digits."""
        if self.texts is not None:
            return self.texts[row]
        assert self.values is not None
        value = self.values[row].item()
        return "" if value != value else value

    def order(self, *, falling: bool) -> NDArray[np.int64]:
        """The rows, sorted; those without a value come last in either direction."""
        if self.values is not None:
            values = self.values.astype(np.float64)
            return np.argsort(-values if falling else values, kind="stable")
        assert self.texts is not None
        keys = [natural_key(one.casefold()) for one in self.texts]
        there = [i for i, one in enumerate(self.texts) if one not in ("", "–")]
        rest = [i for i, one in enumerate(self.texts) if one in ("", "–")]
        found = sorted(there, key=lambda i: keys[i], reverse=falling)
        return np.array([*found, *rest], np.int64)

    def matches(self, wanted: str) -> NDArray[np.bool_]:
        """Rows whose name has ``wanted``, in lower case, in it, or whose whole number begins with
        it.
        """
        if self.texts is not None:
            return np.array([wanted in one.casefold() for one in self.texts], dtype=bool)
        assert self.values is not None
        if self.values.dtype.kind == "i" and wanted.isdecimal():
            return np.char.startswith(self.values.astype(np.str_), str(int(wanted[:18])))
        return np.zeros(len(self), dtype=bool)

    def longest_tails(self) -> list[str]:
        """The longest of what stands after the whole parts of its numbers, in characters. Of very
        many numbers, some of all and the smallest are looked at: those have the most decimals.
        """
        assert self.values is not None
        rows = np.arange(len(self))
        if len(rows) > 2 * _MAX_MEASURED:
            small = np.argpartition(np.abs(self.values), _MAX_MEASURED)[:_MAX_MEASURED]
            rows = np.concatenate([rows[:: len(rows) // _MAX_MEASURED], small])
        # Digits are equally wide, so numbers that differ only in them are measured once.
        tails = {_DIGIT.sub("0", tail_of(self.text(row))) for row in rows.tolist()}
        longest = max(map(len, tails), default=0)
        return [tail for tail in tails if len(tail) == longest]


def tail_of(text: str) -> str:
    """What stands after the whole part of a number: ".5%" of "12.5%"; "" of what is no number."""
    found = _WHOLE_PART.match(text)
    return "" if found is None else text[found.end() :]


class TableRows(QAbstractTableModel):
    """Columns of the same length, in an order that the user chooses. ``order`` are the rows that
    are shown; a row is what it was when it was given.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.columns: Sequence[Column] = ()
        self.order: NDArray[np.int64] = np.empty(0, np.int64)
        self.sorting: tuple[str, Qt.SortOrder] = UNSORTED
        self._wanted = ""
        self._flagged: Collection[int] = ()
        self._ink = QColor()
        self._bold = QFont()
        self._bold.setBold(True)
        self._tails: dict[int, list[str]] = {}

    def show_columns(self, columns: Sequence[Column], flagged: Collection[int] = ()) -> None:
        """Show other columns; the rows ``flagged`` are marked."""
        self.beginResetModel()
        self.columns, self._flagged = columns, frozenset(flagged)
        self._tails.clear()
        self._arrange()
        self.endResetModel()

    def mark(self, ink: QColor) -> None:
        """Set the color of flagged rows, which are bold as well."""
        self._ink = ink

    def show_only(self, wanted: str) -> None:
        """Show the rows with ``wanted`` in a name, or with that number; all for ""."""
        self.beginResetModel()
        self._wanted = wanted.strip().casefold()
        self._arrange()
        self.endResetModel()

    @property
    def total(self) -> int:
        """How many rows there are, shown or not."""
        return len(self.columns[0]) if self.columns else 0

    def row_of(self, row: int) -> int | None:
        """Where a row is shown; None if it is not."""
        found = np.flatnonzero(self.order == row)
        return int(found[0]) if len(found) else None

    def place_of(self, key: str) -> int:
        """Where the column with this key is; −1 if there is none."""
        return next((i for i, one in enumerate(self.columns) if one.key == key), -1)

    @property
    def name_place(self) -> int:
        """Where the column of names is, the first of texts; −1 if there is none."""
        return next((i for i, one in enumerate(self.columns) if not one.is_number), -1)

    def tails(self, column: int) -> list[str]:
        """`Column.longest_tails` of a column of numbers, measured once."""
        if column not in self._tails:
            self._tails[column] = self.columns[column].longest_tails()
        return self._tails[column]

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        there = 0 <= column < len(self.columns)
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        rows = [self.order[index.row()] for index in before]
        self.sorting = (self.columns[column].key, order) if there else UNSORTED
        self._arrange()
        places = np.empty(self.total, np.int64)
        places[self.order] = np.arange(len(self.order))
        now = [self.index(int(places[row]), one.column())
               for row, one in zip(rows, before, strict=True)]  # fmt: skip
        self.changePersistentIndexList(before, now)
        self.layoutChanged.emit()

    def _arrange(self) -> None:
        key, direction = self.sorting
        place = self.place_of(key)
        falling = direction == Qt.SortOrder.DescendingOrder
        rows = np.arange(self.total)
        if place >= 0:
            rows = self.columns[place].order(falling=falling)
        if self._wanted:
            found = np.zeros(self.total, dtype=bool)
            for column in self.columns:
                found |= column.matches(self._wanted)
            rows = rows[found[rows]]
        self.order = rows

    def tsv(self, rows: Sequence[int], columns: Sequence[int]) -> str:
        """The heads and some of the shown rows as tab-separated values, with all digits."""
        picked = [self.columns[x] for x in columns]
        cells = [[one.exact(int(self.order[y])) for one in picked] for y in rows]
        return csv_text([[one.head for one in picked], *cells], "\t")

    def rowCount(self, parent: object = None) -> int:
        return len(self.order)

    def columnCount(self, parent: object = None) -> int:
        return len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        if orientation != Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.head
        if role == Qt.ItemDataRole.ToolTipRole:
            return as_tip(column.tip)
        return _alignment(column) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: Index, role: int = 0) -> object:
        column, row = self.columns[index.column()], int(self.order[index.row()])
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return column.text(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return as_tip(column.tips[row] if column.tips else column.text(row))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if row in self._flagged and role == Qt.ItemDataRole.ForegroundRole:
            return self._ink
        if row in self._flagged and role == Qt.ItemDataRole.FontRole:
            return self._bold
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        editable = self.columns[index.column()].edit is not None
        return super().flags(index) | (Qt.ItemFlag.ItemIsEditable if editable else _NO_FLAG)

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        edit = self.columns[index.column()].edit
        if edit is None:
            return False
        edit(int(self.order[index.row()]), str(value))
        last = len(self.columns) - 1
        self.dataChanged.emit(self.index(index.row(), 0), self.index(index.row(), last))
        return True


def _alignment(column: Column) -> int:
    side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)


def runs(rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The first and last of each run of ``rows`` that follow each other; they are sorted."""
    if not len(rows):
        return []
    gaps = np.flatnonzero(np.diff(rows) > 1)
    return list(zip(rows[[0, *(gaps + 1)]].tolist(), rows[[*gaps, -1]].tolist(), strict=True))
