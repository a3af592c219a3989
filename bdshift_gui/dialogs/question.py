"""The base of all dialogs that ask: a button that answers, and one that cancels."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)


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
        """Line up all fields, and make the dialog as tall as its contents are now, wrapped texts
        included.
        """
        labels = list(self._labels())
        width = max((one.sizeHint().width() for one in labels), default=0)
        for one in labels:
            one.setMinimumWidth(width)
        self._settle()
        self.resize(self.width(), self.column.totalHeightForWidth(self.width()))

    def fit_if_cramped(self) -> None:
        """Do that if there is too little room now."""
        self._settle()
        if self.column.totalMinimumHeightForWidth(self.width()) > self.height():
            self.fit()

    def _settle(self) -> None:
        """Let the layouts know what has changed, the inner ones first."""
        for layout in reversed(self.findChildren(QLayout)):
            layout.activate()

    def _labels(self) -> Iterator[QWidget]:
        """Those in front of fields, in all forms of the dialog."""
        for form in self.findChildren(QFormLayout):
            for row in range(form.rowCount()):
                item = form.itemAt(row, QFormLayout.ItemRole.LabelRole)
                label = None if item is None else item.widget()
                if label is not None:
                    yield label

    def answer(self) -> None:
        """Emit the answer."""
        raise NotImplementedError

    def _accept(self) -> None:
        self.answer()
        self.accept()
