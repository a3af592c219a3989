"""Choose one of the models in a file."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QListWidget, QWidget

from bdshift_gui.dialogs.question import QuestionDialog
from bdshift_gui.i18n import tr


class WhichModelDialog(QuestionDialog):
    """``chosen`` carries `ScanSettings.weights`."""

    chosen = Signal(str)

    def __init__(self, names: Sequence[str], parent: QWidget) -> None:
        super().__init__(tr("Models in the file"), 360, 240, parent)
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Models in the file"))
        self.list.addItems(names)
        self.list.setCurrentRow(0)
        self.column.addWidget(self.list)
        self.use = self.add_buttons(tr("Open"))
        self.list.itemActivated.connect(self._accept)

    def answer(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            self.chosen.emit(item.text())
