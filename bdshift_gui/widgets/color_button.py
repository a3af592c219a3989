"""A button that shows a color, and asks for another one."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QPushButton

from bdshift_gui.ask import Ask
from bdshift_gui.i18n import tr
from bdshift_gui.plain import set_tip

_SWATCH = 14


class ColorButton(QPushButton):
    """``picked`` carries the color that the user chose."""

    picked = Signal(QColor)

    def __init__(self, name: str, ask: Ask) -> None:
        super().__init__()
        self._name, self._ask = name, ask
        self.setIconSize(QSize(_SWATCH, _SWATCH))
        set_tip(self, tr("Choose a color…"))
        self.setAccessibleName(f"{name}: {tr('Choose a color…')}")
        self.color = QColor("white")
        self.clicked.connect(self._choose)

    def show_color(self, color: QColor) -> None:
        """Show a color."""
        self.color = color
        swatch = QPixmap(_SWATCH, _SWATCH)
        swatch.fill(color)
        self.setIcon(QIcon(swatch))
        self.setAccessibleDescription(color.name())

    def _choose(self) -> None:
        found = self._ask.color(self._name, self.color)
        if found is not None:
            self.show_color(found)
            self.picked.emit(found)
