"""The rows of a table, for whoever asks something of them by keyboard or mouse."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QItemSelectionModel, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QTableView

from bdshift_gui.widgets.table_rows import Index


class RowsView(QTableView):
    """Tells what the keyboard asks for; ``adds`` says whether the last change to the selection was
    one to what was selected before, as by a click with Ctrl.
    """

    copy_asked, filter_asked, resized = Signal(), Signal(), Signal()
    adds = False

    def selectionCommand(
        self, index: Index, event: QEvent | None = None
    ) -> QItemSelectionModel.SelectionFlag:
        command = super().selectionCommand(index, event)
        self.adds = not command & QItemSelectionModel.SelectionFlag.Clear
        return command

    def selectAll(self) -> None:
        self.adds = False
        super().selectAll()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_asked.emit()
        elif event.matches(QKeySequence.StandardKey.Find):
            self.filter_asked.emit()
        else:
            super().keyPressEvent(event)
