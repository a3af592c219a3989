"""Says that the views show a purified model instead of the original, with a way back."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from bdshift_gui.actions.compare import COMPARE, ORIGINAL
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.models import name_of
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.view import View, view
from bdshift_gui.widgets.card import Text


@view
class ShownStrip(QFrame, View):
    """Visible only while a purified model is shown."""

    key = "shown"
    area = "strip"
    place = 10
    reads = ("original", "shown", "comparing", "job")

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.setObjectName("shown")
        self._text = Text()
        self.back, self.compare = QPushButton(), QPushButton()
        self.back.clicked.connect(lambda: ORIGINAL.trigger(context))
        self.compare.clicked.connect(self._compare)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 4)
        row.addWidget(self._text, 1)
        row.addWidget(self.compare)
        row.addWidget(self.back)
        self.hide()

    def show_state(self, state: State) -> None:
        """Say which model is shown."""
        self.setVisible(bool(state.shown) and state.comparing is None)
        if state.shown:
            made = state.purifications[state.shown - 1]
            self._text.show_text(
                tr("All views show the rescan of purified model {number} ({method}).",
                   number=state.shown, method=name_of(made))
            )  # fmt: skip
            self.back.setText(tr(ORIGINAL.text))
            self.back.setEnabled(ORIGINAL.enabled(state))
            self.compare.setText(tr(COMPARE.text))
            set_tip(self.compare, tr(COMPARE.tip))
            self.compare.setEnabled(COMPARE.enabled(state))

    def _compare(self) -> None:
        self._context.selection.choose_purification(self._context.state.shown)
        COMPARE.trigger(self._context)
