"""The base of all dialogs that ask: a button that answers, and one that cancels."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout, QWidget


class QuestionDialog(QDialog):
    """``column`` holds the question; `answer` is called on acceptance, before the dialog closes."""

    def __init__(self, title: str, width: int, height: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(width, height)
        self.column = QVBoxLayout(self)

    def add_buttons(self, text: str) -> QPushButton:
        """Add the last row; returns the button that answers, labeled ``text``."""
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        button = buttons.addButton(text, QDialogButtonBox.ButtonRole.AcceptRole)
        button.setObjectName("primary")
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        self.column.addWidget(buttons)
        return button

    def fit(self) -> None:
        """Make the dialog as tall as its contents are now, wrapped texts included."""
        self.column.activate()
        self.resize(self.width(), self.column.totalHeightForWidth(self.width()))

    def answer(self) -> None:
        """Emit the answer."""
        raise NotImplementedError

    def _accept(self) -> None:
        self.answer()
        self.accept()
