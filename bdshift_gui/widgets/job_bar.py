"""What is running, its progress, the time left, and a way to stop it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import Progressed
from bdshift_gui.numbers import duration, grouped
from bdshift_gui.widgets.card import Text


class JobBar(QWidget):
    """``canceled`` is emitted when the user wants the job stopped."""

    canceled = Signal()

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 0, 0)
        row.setSpacing(8)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(160)
        self._text = Text("muted", wrap=False)
        self._cancel = QPushButton()
        self._cancel.clicked.connect(self._stop)
        for widget in (self._bar, self._text, self._cancel):
            row.addWidget(widget)
        row.addStretch(1)
        self.hide()

    def begin(self, name: str) -> None:
        """Show that a job has started."""
        self._bar.setRange(0, 0)
        self._text.show_text(name + " …")
        self._cancel.setText(tr("Cancel"))
        self._cancel.setEnabled(True)
        self.show()

    def progress(self, event: Progressed) -> None:
        """Show its progress."""
        self._bar.setRange(0, max(1, event.total))
        self._bar.setValue(event.done)
        if not self._cancel.isEnabled():
            return  # "Canceling" stays until it has stopped
        text = f"{say(event.stage)} {grouped(event.done)} / {grouped(event.total)}"
        if event.left is not None:
            text += " · " + tr("{time} left", time=duration(event.left))
        self._text.show_text(text)

    def end(self) -> None:
        """Hide, now that the job has ended."""
        self.hide()

    def _stop(self) -> None:
        self._cancel.setEnabled(False)
        self._text.show_text(tr("Canceling…"))
        self.canceled.emit()
