"""Whether the backdoor is a part of its own: the map, what it says, and the way to measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from bdshift_gui.context import Context
from bdshift_gui.i18n import say, tr
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.theme import Theme
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.plane_plot import PlanePlot

if TYPE_CHECKING:
    from bdshift.audit import Purification
    from bdshift_gui.action import Action


class PlanePart(QWidget):
    """The map beside what it says; ``measuring`` is the action that measures it."""

    def __init__(self, context: Context, measuring: Action) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._measuring = measuring
        self.said, self.about = Text(), Text("muted")
        self.measure = QPushButton()
        self.measure.clicked.connect(lambda: measuring.trigger(context))
        self.map = PlanePlot(context)
        words = QVBoxLayout()
        words.setSpacing(8)
        words.addWidget(self.said)
        words.addWidget(self.about)
        words.addWidget(self.measure, 0, Qt.AlignmentFlag.AlignLeft)
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.map, 3)
        row.addLayout(words, 2)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self.map.paint(theme)

    def show_state(self, state: State, made: Purification) -> None:
        """Show what is measured of the purification, or what is measured right now."""
        running = state.plane_of == state.chosen
        plane = state.plane if running and state.plane is not None else made.plane
        self.map.show_plane(plane)
        self.measure.setText(tr(self._measuring.text))
        set_tip(self.measure, tr(self._measuring.tip))
        self.measure.setEnabled(self._measuring.enabled(state))
        at_one = None if plane is None else plane.audited
        self.said.show_text(tr(self._measuring.tip) if at_one is None else say(at_one.sentence))
        self.about.show_text("" if plane is None else say(plane.origin))
