"""The text of a trigger, folded away: for those who know it, and to be copied."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QToolButton, QVBoxLayout, QWidget

from bdshift_gui.i18n import tr
from bdshift_gui.plain import set_tip

_MAX_TEXT = 40_000  # characters; a painted trigger has its pixels in it


class TriggerText(QWidget):
    """``typed`` carries what the user typed; ``folded`` tells that more or less room is needed."""

    typed = Signal(str)
    folded = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plain")
        self.fold, self.line = QToolButton(), QLineEdit()
        self.fold.setObjectName("link")
        self.fold.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.fold.setAccessibleName(tr("As text"))
        self.line.setMaxLength(_MAX_TEXT)
        self.line.setAccessibleName(tr("As text"))
        set_tip(self.line, tr("What the command takes as --trigger; can be edited."))
        self.line.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.fold, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.line)
        self._show_fold()
        self.fold.clicked.connect(self._turn)
        self.line.textEdited.connect(lambda text: self.typed.emit(text.strip()))

    def show_text(self, text: str) -> None:
        """Show the text of the trigger, unless it is just being typed."""
        if not self.line.hasFocus():
            self.line.setText(text)
            self.line.setCursorPosition(0)

    def _turn(self) -> None:
        self.line.setVisible(self.line.isHidden())
        self._show_fold()
        self.folded.emit()

    def _show_fold(self) -> None:
        self.fold.setText(("▸ " if self.line.isHidden() else "▾ ") + tr("As text"))
