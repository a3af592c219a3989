"""Says that the views show a purified model and not the original, and leads back."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from bdshift_gui.i18n import tr
from bdshift_gui.session import State
from bdshift_gui.views.runs import name_of
from bdshift_gui.widgets.card import Text


class ShownStrip(QFrame):
    """``asked`` carries "show_original"; ``sides_chosen`` the original and what is shown."""

    asked = Signal(str)
    sides_chosen = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("shown")
        self._text = Text()
        self.back, self.compare = QPushButton(), QPushButton()
        self.back.clicked.connect(lambda: self.asked.emit("show_original"))
        self._shown = 0
        self.compare.clicked.connect(lambda: self.sides_chosen.emit(0, self._shown))
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 4)
        row.addWidget(self._text, 1)
        row.addWidget(self.compare)
        row.addWidget(self.back)
        self.hide()

    def show_state(self, state: State) -> None:
        """There if a purified model is shown."""
        self.setVisible(bool(state.shown) and state.comparing is None)
        self._shown = state.shown
        if state.shown:
            run = state.runs[state.shown - 1]
            self._text.show_text(
                tr("All views show purified model {number}, {method}, scanned again.",
                   number=state.shown, method=name_of(run))
            )  # fmt: skip
            self.back.setText(tr("Back to the original"))
            self.compare.setText(tr("Compare"))
