"""Beside the sentence that says a file was written: ways to look at it."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State

_TO_READ = ".html", ".pdf"


class WrittenFile(QWidget):
    """Opens the file that was written last, or its folder, in the system's own programs."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._context = context
        self.open, self.folder = QToolButton(), QToolButton()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.open, self.folder):
            button.setObjectName("choice")
            row.addWidget(button)
        self.open.clicked.connect(lambda: self._show(folder=False))
        self.folder.clicked.connect(lambda: self._show(folder=True))
        self.hide()

    def show_state(self, state: State) -> None:
        """Show the ways, if a file was written and nothing has run since."""
        path = state.written
        self.setVisible(path is not None and state.job is None)
        if path is None:
            return
        self.open.setText(tr("Open"))
        self.open.setVisible(path.suffix.lower() in _TO_READ)
        self.folder.setText(tr("Show in folder"))
        set_tip(self.open, str(path))
        set_tip(self.folder, str(path.parent))

    def _show(self, *, folder: bool) -> None:
        path = self._context.state.written
        if path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent if folder else path)))
