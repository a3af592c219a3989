"""A card: a framed box with a title, rows of key and value, and room for more."""

from __future__ import annotations

import html

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from bdshift.text import one_line


def plain(text: str) -> str:
    """A tooltip that may have words of a file in it: never taken for markup, which Qt would read
    pictures for.
    """
    if "<" not in text:
        return text
    return html.escape(text).replace("\n", "<br>")


def look(widget: QWidget, name: str) -> None:
    """Take the look that the style sheet has for ``name``."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


class Text(QLabel):
    """Text that may come from a file: shown as it is, never as markup, wrapped and selectable."""

    def __init__(self, name: str = "", *, wrap: bool = True) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_text(self, text: str) -> None:
        """Show ``text``; nothing if it is empty."""
        self.setText("\n".join(one_line(line) for line in text.split("\n")))
        self.setVisible(bool(text))


class Elided(Text):
    """One line, cut in the middle where there is no room; the whole is in the tooltip."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name, wrap=False)
        self._whole = ""
        self.setMinimumWidth(24)

    def show_text(self, text: str) -> None:
        """Show ``text`` as far as there is room."""
        self._whole = one_line(text)
        self.setToolTip(plain(self._whole) if len(self._whole) > 12 else "")
        self.setAccessibleName(self._whole)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        middle = Qt.TextElideMode.ElideMiddle
        shown = self.fontMetrics().elidedText(self._whole, middle, self.width())
        if shown != self.text():
            self.setText(shown)


class Card(QFrame):
    """Title, then rows; ``body`` takes any widgets below them."""

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


class Rows(QWidget):
    """Keys to the left, values to the right, in tabular figures; every row may have a tooltip."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(1)
        self._grid.setColumnStretch(1, 1)
        self._shown: list[tuple[QLabel, Elided]] = []

    def show_rows(self, rows: list[tuple[str, str, str]]) -> None:
        """Show (key, value, tooltip) rows."""
        while len(self._shown) < len(rows):
            key, value = QLabel(), Elided("value")
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
                key.setText(rows[at][0])
                value.show_text(rows[at][1])
                key.setToolTip(plain(rows[at][2]))
                if rows[at][2]:
                    value.setToolTip(plain(rows[at][2]))
                value.setAccessibleName(f"{rows[at][0]}: {rows[at][1]}")
