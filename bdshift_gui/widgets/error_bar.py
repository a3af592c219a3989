"""An error, shown inline: one sentence, details to copy, and what may help. Never a dialog."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from bdshift_gui.action import all_actions
from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.jobs.events import Failed
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.widgets.card import Text


class ErrorBar(QFrame):
    """Shows `State.failure`, with the actions that may help (`Action.remedy`)."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("error")
        self._context = context
        self._failure: Failed | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 8, 6)
        self.text = Text("danger")
        row.addWidget(self.text, 1)
        self._remedies = [one for one in all_actions() if one.remedy is not None]
        self.buttons: dict[str, QPushButton] = {}
        for one in self._remedies:
            button = QPushButton()
            button.clicked.connect(lambda _=False, one=one: one.trigger(context))
            self.buttons[one.key] = button
            row.addWidget(button)
        self.copy, self.dismiss = QPushButton(), QPushButton("×")
        row.addWidget(self.copy)
        row.addWidget(self.dismiss)
        self.copy.clicked.connect(self._copied)
        self.dismiss.clicked.connect(context.forget_failure)
        self.hide()

    def show_state(self, state: State) -> None:
        """Show what went wrong, if anything did."""
        failure = self._failure = state.failure
        self.setVisible(failure is not None)
        if failure is None:
            return
        self.text.show_text(say(failure.sentence))
        for one in self._remedies:
            button = self.buttons[one.key]
            button.setText(tr(one.text))
            set_tip(button, tr(one.tip))
            button.setVisible(one.remedy == failure.cause and one.enabled(state))
        self.copy.setText(tr("Copy details"))
        self.dismiss.setAccessibleName(tr("Close"))
        set_tip(self.dismiss, tr("Close"))

    def _copied(self) -> None:
        if self._failure is not None:
            text = f"{self._failure.sentence}\n\n{self._failure.details}"
            QGuiApplication.clipboard().setText(text)
