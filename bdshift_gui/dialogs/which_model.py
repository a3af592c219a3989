"""Choose one of the models in a file."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QListWidget, QWidget

from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import tr
from bdshift_gui.plain import lines


class WhichModelDialog(QuestionDialog):
    """``chosen`` carries `ScanSettings.weights`."""

    chosen = Signal(str)

    def __init__(self, names: Sequence[str], parent: QWidget) -> None:
        super().__init__(tr("Models in the file"), 360, 240, parent)
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Models in the file"))
        self._names = names
        self.list.addItems([lines(name) for name in names])
        self.list.setCurrentRow(0)
        self.column.addWidget(self.list)
        self.use = self.add_buttons(tr("Open"))
        self.list.itemActivated.connect(self._accept)

    def answer(self) -> None:
        if self.list.currentRow() >= 0:
            self.chosen.emit(self._names[self.list.currentRow()])
