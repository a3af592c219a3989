"""A card: a framed box with a title, rows of key and value, and room for more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from bdshift.text import one_line
from bdshift_gui.i18n import tr
from bdshift_gui.plain import PlainLabel, lines, set_tip

if TYPE_CHECKING:
    from bdshift_gui.action import Action
    from bdshift_gui.session import State


def look(widget: QWidget, name: str) -> None:
    """Style a widget as the style sheet styles ``name``."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


_LONG_WORD = re.compile(r"\S{24,}")
_COMMA_INSIDE = re.compile(r",(?=\S)")  # a space follows the others already


def _breakable(line: str) -> str:
    """A line whose long words, such as the text of a trigger, can be broken at commas."""
    return _LONG_WORD.sub(lambda word: _COMMA_INSIDE.sub(", ", word[0]), line)


class Text(PlainLabel):
    """Text that is wrapped and can be selected."""

    def __init__(self, name: str = "", *, wrap: bool = True) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setWordWrap(wrap)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_text(self, text: str) -> None:
        """Show ``text``; hide if it is empty."""
        self.setText("\n".join(map(_breakable, lines(text).split("\n"))))
        self.setVisible(bool(text))


class Elided(Text):
    """One line, elided in the middle if it does not fit, as is good for names of files, or else at
    its end; the tooltip has all of it.
    """

    def __init__(self, name: str = "", *, at_end: bool = False) -> None:
        super().__init__(name, wrap=False)
        modes = Qt.TextElideMode
        self._whole, self._mode = "", modes.ElideRight if at_end else modes.ElideMiddle
        self.setMinimumWidth(24)

    def show_text(self, text: str) -> None:
        """Show as much of ``text`` as fits."""
        self._whole = one_line(text)
        set_tip(self, self._whole if len(self._whole) > 12 else "")
        self.setAccessibleName(self._whole)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, self._mode, self.width())
        if shown != self.text():
            self.setText(shown)


class Card(QFrame):
    """A title, with ``corner`` next to it; ``body`` takes any widgets below."""

    def __init__(self, name: str = "card") -> None:
        super().__init__()
        self.setObjectName(name)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(12, 8, 12, 10)
        outer.setSpacing(4)
        head = QHBoxLayout()
        head.setSpacing(4)
        self.title = Text("title")
        head.addWidget(self.title, 1)
        self.corner = QHBoxLayout()
        head.addLayout(self.corner)
        outer.addLayout(head)
        self.body = QVBoxLayout()
        self.body.setSpacing(4)
        outer.addLayout(self.body)


class CornerButton(QToolButton):
    """A word in a card's corner that triggers an action."""

    def __init__(self, card: Card, asked: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("link")
        self.clicked.connect(lambda: asked())
        card.corner.addWidget(self)

    def show_action(self, word: str, one: Action, state: State) -> None:
        """Show ``word`` for an action; disabled while the action is."""
        self.setText(word)
        set_tip(self, tr(one.tip))
        self.setEnabled(one.enabled(state))


class KeyValueRows(QWidget):
    """Keys on the left, values on the right, in tabular figures; every row may have a tooltip.
    Where both do not fit, values are elided, or keys if they are the longer ones.
    """

    def __init__(self, *, long_keys: bool = False) -> None:
        super().__init__()
        self._long_keys = long_keys
        self.setObjectName("plain")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(0 if long_keys else 1, 1)
        self._shown: list[tuple[PlainLabel | Elided, Elided]] = []

    def show_rows(self, rows: list[tuple[str, str, str]]) -> None:
        """Show (key, value, tooltip) rows."""
        while len(self._shown) < len(rows):
            key = Elided("key", at_end=True) if self._long_keys else PlainLabel()
            value = Elided("value", at_end=True)
            key.setObjectName("key")
            value.setAlignment(Qt.AlignmentFlag.AlignRight)
            at = len(self._shown)
            self._grid.addWidget(key, at, 0)
            self._grid.addWidget(value, at, 1)
            self._shown.append((key, value))
        for at, (key, value) in enumerate(self._shown):
            key.setVisible(at < len(rows))
            value.setVisible(at < len(rows))
            if at < len(rows):
                if isinstance(key, Elided):
                    key.show_text(rows[at][0])
                    value.setMinimumWidth(value.fontMetrics().horizontalAdvance(rows[at][1]) + 2)
                else:
                    key.setText(rows[at][0])
                value.show_text(rows[at][1])
                set_tip(key, rows[at][2])
                if rows[at][2]:
                    set_tip(value, rows[at][2])
                value.setAccessibleName(f"{rows[at][0]}: {rows[at][1]}")
