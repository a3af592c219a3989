"""How an activation is distributed: over all images, clean and triggered, or class by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from bdshift.text import figure
from bdshift_gui.i18n import tr
from bdshift_gui.theme import LIGHT, Theme
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import name_rows, paint_axes, small_plot

_BINS = 30
_CLASSES = 12  # rows by class: those with the largest mean
_ROW = 12  # pixels per row
_HEIGHT = 72


class Activations(QWidget):
    """A histogram, or one row per class: the darker, the more of its images."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("plain")
        self._theme: Theme = LIGHT
        self._clean: NDArray[np.float64] = np.empty(0)
        self._triggered: NDArray[np.float64] | None = None
        self._labels: NDArray[np.int64] = np.empty(0, np.int64)
        self._names: Sequence[str] = ()
        self._target = 0
        self._words = Text("clean", wrap=False)
        self._more = Text("triggered", wrap=False)
        self.by = Choices(("all", "class"))
        self.by.chosen.connect(self._redraw)
        self.view = small_plot(_HEIGHT)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._words)
        head.addWidget(self._more)
        head.addStretch(1)
        head.addWidget(self.by)
        column.addLayout(head)
        column.addWidget(self.view)

    def paint(self, theme: Theme) -> None:
        """Apply the theme's colors."""
        self._theme = theme
        paint_axes(self.view, theme)

    def show_values(
        self,
        clean: NDArray[np.float64],
        triggered: NDArray[np.float64] | None,
        labels: NDArray[np.int64],
        names: Sequence[str],
        target: int,
    ) -> None:
        """Show the activations (N,) of the clean images, whose classes are ``labels``, and those of
        the triggered ones, if there are any; ``target`` is always among the classes shown.
        """
        self._clean, self._triggered = clean, triggered
        self._labels, self._names, self._target = labels, names, target
        self._redraw()

    def _redraw(self) -> None:
        self.by.label(
            "",
            {"all": (tr("all"), tr("All images, clean and triggered.")),
             "class": (tr("by class"),
                       tr("Clean images, one row per class: darker means more images of that "
                          "class."))},
        )  # fmt: skip
        if not len(self._clean):
            return
        text = tr("φ {value}", value=figure(float(self._clean.mean()), ".3g"))
        more = ""
        if self._triggered is not None:
            mean = figure(float(self._triggered.mean()), ".3g")
            more = tr("triggered {value}", value=mean)
        self._words.show_text(text)
        self._more.show_text(more)
        self.view.setAccessibleName(f"{text} {more}")
        plot = self.view.getPlotItem()
        plot.clear()
        edges = self._edges()
        if self.by.now == "class":
            self._draw_classes(plot, edges)
        else:
            self._draw_all(plot, edges)
        plot.setXRange(float(edges[0]), float(edges[-1]), padding=0.01)

    def _edges(self) -> NDArray[np.float64]:
        values = [self._clean] if self._triggered is None else [self._clean, self._triggered]
        low, high = min(v.min() for v in values), max(v.max() for v in values)
        if low == high:
            low, high = low - 0.5, high + 0.5
        return np.linspace(low, high, _BINS + 1)

    def _draw_all(self, plot: pg.PlotItem, edges: NDArray[np.float64]) -> None:
        colors = (self._theme.accent, self._theme.poisoned)
        tallest = 1
        for one, color in zip((self._clean, self._triggered), colors, strict=True):
            if one is not None:
                heights, _ = np.histogram(one, edges)
                tallest = max(tallest, int(heights.max()))
                brush = pg.mkColor(color)
                brush.setAlpha(170)
                plot.addItem(
                    pg.BarGraphItem(
                        x0=edges[:-1], x1=edges[1:], height=heights, brush=brush, pen=None
                    )
                )
        plot.hideAxis("left")
        plot.setYRange(0, tallest, padding=0.02)
        self.view.setFixedHeight(_HEIGHT)

    def _draw_classes(self, plot: pg.PlotItem, edges: NDArray[np.float64]) -> None:
        from bdshift.neurons.excite import histogram_by_class

        count = len(self._names)
        images = np.bincount(self._labels, minlength=count)
        total = np.bincount(self._labels, self._clean, minlength=count)
        mean = np.where(images > 0, total / np.maximum(images, 1), -np.inf)
        shown = np.sort(np.argsort(-mean, kind="stable")[: min(_CLASSES, int((images > 0).sum()))])
        if self._target not in shown and images[self._target]:
            shown = np.sort(np.append(shown[:-1], self._target))
        rows = histogram_by_class(self._clean, self._labels, count, edges)[shown].astype(np.float64)
        rows /= np.maximum(rows.max(1, keepdims=True), 1)
        image = pg.ImageItem(rows[::-1], axisOrder="row-major", levels=(0, 1))
        ramp = pg.ColorMap([0.0, 1.0], [pg.mkColor(self._theme.grid), pg.mkColor(self._theme.text)])
        image.setLookupTable(ramp.getLookupTable(0.0, 1.0, 64))
        image.setRect(QRectF(edges[0], 0, edges[-1] - edges[0], len(shown)))
        plot.addItem(image)
        plot.showAxis("left")
        rows_of = ((len(shown) - y - 0.5, self._names[i]) for y, i in enumerate(shown))
        name_rows(plot.getAxis("left"), rows_of)
        plot.setYRange(0, len(shown), padding=0)
        self.view.setFixedHeight(_ROW * len(shown) + 24)
