"""Two values per class, one bar below the other: what changed, class by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from bdshift.text import figure
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table, name_rows

_MAX_CLASSES = 12  # shown: those that changed most
_ROW_HEIGHT = 15  # pixels per class

Values = tuple[NDArray[np.float64], NDArray[np.float64]]


class PairedBars(PlotCard):
    """``values`` by key: accuracy, norms."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._values: dict[str, Values] = {}
        self._names: Sequence[str] = ()
        self._sides = ("", "")
        self._target = 0
        self.what = Choices(("norms", "accuracy"))
        self.what.chosen.connect(self.redraw)
        self.corner.addWidget(self.what)
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(x=True, alpha=0.25)
        self._room = _MAX_CLASSES  # classes that there is room for
        self.plot.vb.sigResized.connect(self._fit)
        self.view.setMinimumHeight(110)
        self._labels = self.add_foot("bar", "clean")

    def show_values(
        self, values: dict[str, Values], names: Sequence[str], sides: tuple[str, str], target: int
    ) -> None:
        """Show values (C,) of two sides by key; ``target`` is always among those shown."""
        self._values, self._names, self._sides, self._target = values, names, sides, target
        self.what.enable("accuracy", "accuracy" in values)
        self.redraw()

    def _fit(self) -> None:
        room = min(_MAX_CLASSES, max(2, int(self.plot.vb.boundingRect().height() / _ROW_HEIGHT)))
        if room != self._room:
            self._room = room
            self.redraw()

    def redraw(self) -> None:
        self.what.label(
            "",
            {"norms": (tr("norms"), tr("Length of the shift to each class.")),
             "accuracy": (tr("accuracy"), tr("Clean accuracy of each class."))},
        )  # fmt: skip
        self.plot.clear()
        if self.what.now not in self._values:
            return
        first, second = self._values[self.what.now]
        moved = np.nan_to_num(np.abs(second - first), nan=-1, posinf=np.inf)
        shown = np.argsort(-moved, kind="stable")[: self._room]
        if self._target not in shown:
            shown[-1] = self._target
        shown = np.sort(shown)
        for label, side in zip(self._labels, self._sides, strict=True):
            label.show_text(f"■ {side}")
        rows = np.arange(len(shown))[::-1].astype(float)
        for values, offset, ink in (
            (first, 0.2, self.theme.bar),
            (second, -0.2, self.theme.accent),
        ):
            long = np.nan_to_num(values[shown], nan=0, posinf=0)
            self.plot.addItem(
                pg.BarGraphItem(x0=0, y=rows + offset, height=0.36, width=long, brush=ink, pen=None)
            )
        ticks = [(float(y), self._names[i]) for y, i in zip(rows, shown, strict=True)]
        name_rows(self.plot.getAxis("left"), ticks)
        self.plot.setYRange(-0.6, len(shown) - 0.4, padding=0)
        if len(self._names) <= self._room:
            norms, accuracy = tr("Norms by class"), tr("Accuracy by class")
        else:
            norms = tr("Norms: {count} most changed", count=len(shown))
            accuracy = tr("Accuracy: {count} most changed", count=len(shown))
        self.title.show_text(norms if self.what.now == "norms" else accuracy)
        self.describe(
            self.title.text(),
            ", ".join(
                f"{self._names[i]} {figure(float(first[i]), '.3g')} → "
                f"{figure(float(second[i]), '.3g')}"
                for i in shown
            ),
        )

    def _rows(self) -> Table:
        keys = list(self._values)
        heads = ["class", *(f"{key} {side}" for key in keys for side in ("a", "b"))]
        columns = [values for key in keys for values in self._values[key]]
        return [heads, *([n, *(float(c[i]) for c in columns)] for i, n in enumerate(self._names))]
