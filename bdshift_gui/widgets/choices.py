"""A row of words, one of which is chosen: how to read a plot."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QWidget

from bdshift_gui.plain import PlainLabel, set_tip

_GAP = 4  # pixels between a label and the first word


class Choices(QWidget):
    """``chosen`` carries the key of the word that the user picked."""

    chosen = Signal(str)

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__()
        self.setObjectName("plain")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._before = PlainLabel()
        self._before.setObjectName("muted")
        row.addWidget(self._before)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QToolButton] = {}
        for number, key in enumerate(keys):
            button = QToolButton()
            button.setObjectName("choice")
            button.setCheckable(True)
            self._group.addButton(button, number)
            self._buttons[key] = button
            row.addWidget(button)
        self._keys = keys
        self._buttons[keys[0]].setChecked(True)
        self._group.idClicked.connect(self._clicked)

    @property
    def now(self) -> str:
        """The key of the chosen word."""
        return self._keys[self._group.checkedId()]

    def label(self, before: str, words: dict[str, tuple[str, str]]) -> None:
        """Show the words, each with its tooltip."""
        self._before.setText(before)
        self._before.setContentsMargins(0, 0, _GAP if before else 0, 0)
        for key, (word, tooltip) in words.items():
            self._buttons[key].setText(word)
            set_tip(self._buttons[key], tooltip)
            self._buttons[key].setAccessibleName(f"{before} {word}".strip())

    def label_one(self, key: str, word: str) -> None:
        """Show another word for one of them."""
        self._buttons[key].setText(word)

    def enable(self, key: str, on: bool) -> None:
        """Enable or disable a word; instead of a disabled one, the first enabled one is chosen."""
        self._buttons[key].setEnabled(on)
        if not on and self.now == key:
            first = next(k for k in self._keys if self._buttons[k].isEnabled())
            self._buttons[first].setChecked(True)

    def choose(self, key: str) -> None:
        """Choose a word without emitting ``chosen``."""
        self._buttons[key].setChecked(True)

    def _clicked(self, number: int) -> None:
        self.chosen.emit(self._keys[number])
