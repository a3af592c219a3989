"""Text that may come from a file is shown as it is. Qt takes what looks like HTML for HTML, loads
the images that it names, and takes an ampersand for a shortcut; here is the only place where text
reaches those parts of Qt, and a test forbids the ways around it.
"""

from __future__ import annotations

import html
from typing import Protocol

from PySide6.QtCore import Qt
from PySide6.QtGui import Qt as QtText
from PySide6.QtWidgets import QLabel, QMessageBox, QWidget

from bdshift.text import one_line


class _HasToolTip(Protocol):
    def setToolTip(self, text: str, /) -> object: ...


def lines(text: str) -> str:
    """``text`` with its line breaks, without anything else that does not print."""
    return "\n".join(map(one_line, text.split("\n")))


def as_tip(text: str) -> str:
    """``text`` for a tooltip that a view asks its model for."""
    shown = lines(text)
    if "<" in shown or QtText.mightBeRichText(shown):
        escaped = html.escape(shown).replace("\n", "<br>")
        return f"<qt>{escaped}</qt>"
    return shown


def set_tip(thing: _HasToolTip, text: str) -> None:
    """Set a tooltip."""
    thing.setToolTip(as_tip(text))


def as_html(text: str) -> str:
    """``text`` for pyqtgraph's labels and legends, which only take HTML."""
    return html.escape(one_line(text))


def on_button(text: str) -> str:
    """``text`` for a button or a menu, where an ampersand would mark a shortcut key."""
    return one_line(text).replace("&", "&&")


class PlainLabel(QLabel):
    """A label without markup."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(lines(text))


def message_box(
    parent: QWidget,
    text: str,
    buttons: QMessageBox.StandardButton,
    default: QMessageBox.StandardButton = QMessageBox.StandardButton.NoButton,
    icon: QMessageBox.Icon = QMessageBox.Icon.Question,
) -> QMessageBox.StandardButton:
    """Show a message box, and return the button that was pressed."""
    box = QMessageBox(icon, "bdshift", "", buttons, parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(lines(text))
    box.setDefaultButton(default)
    return QMessageBox.StandardButton(box.exec())
