"""An error, in place: one sentence, details to copy, and what may help. Never a dialog."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from bdshift_gui.i18n import tr
from bdshift_gui.jobs.events import Failed
from bdshift_gui.widgets.card import Text


class ErrorBar(QFrame):
    """``smaller`` asks for half the batch, ``on_cpu`` for the CPU: only when memory ran out;
    ``name_architecture`` for the user's own network: only when none fits; ``which_asked`` for one
    of ``choices``: only when a file holds several models.
    """

    smaller = Signal()
    on_cpu = Signal()
    name_architecture = Signal()
    which_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("error")
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        self._text = Text("danger")
        row.addWidget(self._text, 1)
        self._smaller, self._cpu, self._name = QPushButton(), QPushButton(), QPushButton()
        self.which = QPushButton()
        self._copy, self._close = QPushButton(), QPushButton("×")
        for button in (
            self._smaller, self._cpu, self._name, self.which, self._copy, self._close,
        ):  # fmt: skip
            row.addWidget(button)
        self._smaller.clicked.connect(self.smaller)
        self._cpu.clicked.connect(self.on_cpu)
        self._name.clicked.connect(self.name_architecture)
        self.which.clicked.connect(self.which_asked)
        self._copy.clicked.connect(self._copied)
        self._close.clicked.connect(self.hide)
        self._details = ""
        self.choices: tuple[str, ...] = ()
        self.hide()

    def show_failure(self, event: Failed) -> None:
        """Show what went wrong."""
        self._details = f"{event.text}\n\n{event.details}"
        self._text.show_text(tr("Memory ran out.") if event.cause == "memory" else event.text)
        self._smaller.setText(tr("Try a smaller batch"))
        self._cpu.setText(tr("Try on the CPU"))
        self._name.setText(tr("Name its architecture…"))
        self._smaller.setVisible(event.cause == "memory")
        self._cpu.setVisible(event.cause == "memory")
        self._name.setVisible(event.cause == "architecture")
        self.which.setText(tr("Choose the model…"))
        self.which.setVisible(event.cause == "several")
        self.choices = event.choices
        self._copy.setText(tr("Copy details"))
        self._close.setAccessibleName(tr("Close"))
        self._close.setToolTip(tr("Close"))
        self.show()

    def _copied(self) -> None:
        QGuiApplication.clipboard().setText(self._details)
