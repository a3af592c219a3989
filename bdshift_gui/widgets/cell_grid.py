"""A table of texts that wrap, so that it fits into any width."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from bdshift_gui.plain import set_tip
from bdshift_gui.widgets.card import Text


class CellGrid(QWidget):
    """Heads with tooltips, and rows below them; the first column is on the left, the others on the
    right. ``shares`` are those of the columns in the width.
    """

    def __init__(self, shares: Sequence[int]) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(6)
        for x, share in enumerate(shares):
            self._grid.setColumnStretch(x, share)
        self._labels: dict[tuple[int, int], Text] = {}

    def show_rows(self, heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[str]]) -> None:
        """Show (head, tooltip) columns, and a text for each in every row."""
        texts = [[head for head, _ in heads], *rows]
        for (y, _), label in self._labels.items():
            label.setVisible(y < len(texts))
        for y, row in enumerate(texts):
            for x, text in enumerate(row):
                label = self._label(y, x)
                label.setText(text)
                if not y:
                    set_tip(label, heads[x][1])
                else:
                    label.setAccessibleName(f"{heads[x][0]}: {text}")

    def texts(self) -> list[list[str]]:
        """What is shown, the heads first."""
        found: dict[int, list[str]] = {}
        for (y, _), label in sorted(self._labels.items()):
            if not label.isHidden():
                found.setdefault(y, []).append(label.text())
        return list(found.values())

    def _label(self, y: int, x: int) -> Text:
        if (y, x) not in self._labels:
            label = Text("value" if y else "key")
            side = Qt.AlignmentFlag.AlignRight if x else Qt.AlignmentFlag.AlignLeft
            above = Qt.AlignmentFlag.AlignTop if y else Qt.AlignmentFlag.AlignBottom
            label.setAlignment(side | above)
            self._grid.addWidget(label, y, x)
            self._labels[y, x] = label
        return self._labels[y, x]
