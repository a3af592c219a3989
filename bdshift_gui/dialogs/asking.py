"""What every question has: a button that answers it, and one that gives up."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout, QWidget


class Asking(QDialog):
    """``column`` takes the question; `answer` is called when it is answered, before it closes."""

    def __init__(self, title: str, width: int, height: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(width, height)
        self.column = QVBoxLayout(self)

    def add_buttons(self, words: str) -> QPushButton:
        """The last row; ``words`` are on the button that answers, which is returned."""
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        button = buttons.addButton(words, QDialogButtonBox.ButtonRole.AcceptRole)
        button.setObjectName("primary")
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        self.column.addWidget(buttons)
        return button

    def fit(self) -> None:
        """As high as the question is now, wrapped texts included."""
        self.column.activate()
        self.resize(self.width(), self.column.totalHeightForWidth(self.width()))

    def answer(self) -> None:
        """Tell what was answered."""
        raise NotImplementedError

    def _accept(self) -> None:
        self.answer()
        self.accept()
