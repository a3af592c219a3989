"""How the head uses a neuron: its weight for every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtWidgets import QVBoxLayout, QWidget

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.theme import LIGHT, Theme
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.plot import name_rows, paint_axes, small_plot

_CLASSES = 12  # bars: the largest by absolute value
_ROW = 13  # pixels per bar


class HeadWeights(QWidget):
    """One bar per class, the selected class in color."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._theme: Theme = LIGHT
        self._words = Text("muted")
        self.view = small_plot(150)
        self.view.getPlotItem().hideAxis("bottom")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._words)
        column.addWidget(self.view)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self._theme = theme
        paint_axes(self.view, theme)

    def show_values(
        self, values: NDArray[np.float64], names: Sequence[str], target: int, *, flagged: bool
    ) -> None:
        """Show the weights (C,); ``flagged`` is whether class ``target`` is poisoned."""
        shown = np.sort(np.argsort(-np.abs(values), kind="stable")[:_CLASSES])
        if target not in shown:
            shown = np.sort(np.append(shown[:-1], target))
        plot = self.view.getPlotItem()
        plot.clear()
        rows = np.arange(len(shown))[::-1]
        ink = self._theme.poisoned if flagged else self._theme.accent
        brushes = [ink if i == target else self._theme.bar for i in shown]
        plot.addItem(
            pg.BarGraphItem(
                x0=0, y=rows, height=0.7, width=values[shown], brushes=brushes, pen=None
            )
        )
        left = plot.getAxis("left")
        name_rows(left, ((int(y), names[i]) for y, i in zip(rows, shown, strict=True)))
        plot.addItem(pg.InfiniteLine(0, 90, pen=pg.mkPen(self._theme.muted)))
        plot.getAxis("left").setPen(None)
        plot.setYRange(-0.6, len(shown) - 0.4, padding=0)
        self.view.setFixedHeight(_ROW * len(shown) + 6)
        self._words.show_text(
            tr("Head weight by class") if len(names) <= _CLASSES
            else tr("Head weight: {count} largest of {all} classes",
                    count=len(shown), all=len(names))
        )  # fmt: skip
        self.view.setAccessibleName(
            ", ".join(f"{names[i]} {figure(float(values[i]), '.2g')}" for i in shown)
        )
