"""The scatter plot for keyboard users: one row per neuron, sortable, with the same selection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QItemSelection, QItemSelectionModel, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from bdshift.text import figure
from bdshift.words import words
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.session import State
from bdshift_gui.view import View, view


class NeuronTable(QAbstractTableModel):
    """One row per neuron, in an order that a click on a column header changes."""

    def __init__(self, parent: QTableView) -> None:
        super().__init__(parent)
        self._heads: list[str] = []
        self._columns: list[NDArray[np.float64]] = []
        self.order: NDArray[np.int64] = np.empty(0, np.int64)
        self._sorting = (1, Qt.SortOrder.DescendingOrder)

    def show_columns(self, heads: list[str], columns: list[NDArray[np.float64]]) -> None:
        """Set new values; the first column is the neuron's number."""
        self.beginResetModel()
        self._heads, self._columns = heads, columns
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.layoutAboutToBeChanged.emit()
        self._sorting = column, order
        self._arrange()
        self.layoutChanged.emit()

    def _arrange(self) -> None:
        column, order = self._sorting
        if not self._columns:
            return
        values = self._columns[min(column, len(self._columns) - 1)]
        falling = order == Qt.SortOrder.DescendingOrder
        self.order = np.argsort(-values if falling else values, kind="stable")

    def rowCount(self, parent: object = None) -> int:
        return len(self.order)

    def columnCount(self, parent: object = None) -> int:
        return len(self._columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> object:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._heads[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: object, role: int = 0) -> object:
        row, column = index.row(), index.column()  # type: ignore[attr-defined]
        if role == Qt.ItemDataRole.DisplayRole:
            value = float(self._columns[column][self.order[row]])
            return str(int(value)) if column == 0 else figure(value, "#.4g")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


@view
class NeuronTableView(QTableView, View):
    """Selecting rows selects neurons."""

    key = "table"
    area = "below"
    place = 10
    title_of_panel = words("Neurons", ja="ニューロン")
    reads = (
        "audit", "tac", "selection.class_index", "selection.neurons", "selection.primary",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._model = NeuronTable(self)
        self.setModel(self._model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSortingEnabled(True)
        self.sortByColumn(1, Qt.SortOrder.DescendingOrder)
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self._shown: tuple[object, ...] = ()
        self._rendering = False
        self.selectionModel().selectionChanged.connect(self._selected)

    def show_state(self, state: State) -> None:
        """Show the neurons for the selected class, and the selection."""
        self.setAccessibleName(tr("Neurons"))
        selection = state.selection
        index = selection.class_index
        if state.audit is None or index is None:
            return
        what = (state.audit, state.tac, index, language())
        self._rendering = True
        if any(a is not b for a, b in zip(what, self._shown or (None,) * 4, strict=True)):
            self._shown = what
            self._fill(state, index)
        rows = np.flatnonzero(np.isin(self._model.order, list(selection.neurons)))
        wanted = QItemSelection()
        last = self._model.columnCount() - 1
        for row in rows.tolist():
            wanted.select(self._model.index(row, 0), self._model.index(row, last))
        self.selectionModel().select(wanted, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._rendering = False

    def _fill(self, state: State, index: int) -> None:
        from bdshift.neurons.rankings import data_free_direction

        assert state.audit is not None
        shift = state.audit.shifts.shift[index]
        heads = [tr("neuron"), tr("shift"), "w − w̄"]
        columns = [
            np.arange(len(shift), dtype=np.float64),
            shift,
            data_free_direction(state.audit.model.weight, index),
        ]
        if state.audit.embedding is not None:
            heads.append(tr("clean φ"))
            columns.append(state.audit.embedding.mean)
        if state.tac is not None and state.tac.target == index:
            heads += ["TAC", tr("signed")]
            columns += [state.tac.change, state.tac.signed]
        self._model.show_columns(heads, columns)

    def _selected(self) -> None:
        if self._rendering:
            return  # selected by us, not by the user
        rows = [index.row() for index in self.selectionModel().selectedRows()]
        neurons = frozenset(int(self._model.order[row]) for row in rows)
        current = self.currentIndex().row()
        primary = int(self._model.order[current]) if 0 <= current < len(self._model.order) else None
        self._context.selection.select_neurons(neurons, "replace", primary)
