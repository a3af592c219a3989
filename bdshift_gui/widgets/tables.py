"""A table with few rows, in the style of this window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from bdshift_gui.plain import lines, set_tip


@dataclass(frozen=True)
class Cell:
    """``text`` is shown; cells are sorted by ``value``, or by ``text`` if it is None."""

    text: str
    value: float | None = None
    tooltip: str = ""


class _Item(QTableWidgetItem):
    """Sorts by number; cells without one come last, in either order."""

    def __init__(self, cell: Cell, *, right: bool) -> None:
        super().__init__(lines(cell.text))
        self._cell = cell
        set_tip(self, cell.tooltip or cell.text)
        if right:
            self.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def __lt__(self, other: QTableWidgetItem) -> bool:
        assert isinstance(other, _Item)
        a, b = self._cell, other._cell
        if a.value is not None and b.value is not None:
            return a.value < b.value
        if a.value is None and b.value is None:
            return a.text < b.text
        order = self.tableWidget().horizontalHeader().sortIndicatorOrder()
        return (a.value is None) is (order == Qt.SortOrder.DescendingOrder)


class SmallTable(QTableWidget):
    """Selects whole rows, one at a time; the first column takes the remaining width."""

    def __init__(self, *, sortable: bool = False) -> None:
        super().__init__()
        self._sortable = sortable
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setMinimumSectionSize(24)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setSortIndicator(0, Qt.SortOrder.AscendingOrder)

    def show_rows(self, heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Show rows with one cell per column, in the order that the user has chosen."""
        self.setSortingEnabled(False)
        self.setColumnCount(len(heads))
        self.setHorizontalHeaderLabels(list(heads))
        self.setRowCount(len(rows))
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                self.setItem(y, x, _Item(cell, right=x > 0))
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        if self._sortable:
            self.setSortingEnabled(True)
