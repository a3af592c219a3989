"""Histograms along the top and the right edge of a scatter plot: the distribution on each axis."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray

from bdshift_gui.theme import Theme

_BINS = 60
_DEEP = 26  # pixels of a histogram
_MIN_HEIGHT = 230  # pixels of plot height that leave room for them


class Marginals:
    """Two strips in the layout of ``plot``, moving with its axes. Heights are square roots of
    counts, so that the few in the tail are visible next to the many.
    """

    def __init__(self, plot: pg.PlotItem) -> None:
        self._plot = plot
        self._top, self._right = (pg.ViewBox(enableMouse=False, enableMenu=False) for _ in "xy")
        plot.layout.removeItem(plot.titleLabel)  # our titles are in the card
        plot.layout.addItem(self._top, 0, 1)
        plot.layout.addItem(self._right, 2, 3)
        self._top.setXLink(plot.vb)
        self._right.setYLink(plot.vb)
        self._shown = False
        plot.vb.sigResized.connect(self._fit)
        self._fit()

    def _fit(self) -> None:
        """Show them if the plot is tall enough."""
        box = self._plot.vb.boundingRect()
        room = box.height() >= (_MIN_HEIGHT - _DEEP if self._shown else _MIN_HEIGHT)
        self._shown = room
        self._top.setVisible(room)
        self._right.setVisible(room)
        self._plot.layout.setRowFixedHeight(0, _DEEP if room else 0)
        self._plot.layout.setColumnFixedWidth(3, _DEEP if room else 0)

    def show_values(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        chosen: NDArray[np.bool_],
        theme: Theme,
        ink: str,
    ) -> None:
        """Show all points in gray, and over them the ``chosen`` ones in ``ink``."""
        self._draw(self._top, x, chosen, theme, ink, upright=True)
        self._draw(self._right, y, chosen, theme, ink, upright=False)

    def _draw(
        self,
        box: pg.ViewBox,
        values: NDArray[np.float64],
        chosen: NDArray[np.bool_],
        theme: Theme,
        ink: str,
        *,
        upright: bool,
    ) -> None:
        box.clear()
        finite = values[np.isfinite(values)]
        if not len(finite) or finite.min() == finite.max():
            return
        edges = np.linspace(finite.min(), finite.max(), _BINS + 1)
        tall = 1.0
        for some, color in ((values, theme.bar), (values[chosen], ink)):
            heights = np.sqrt(np.histogram(some[np.isfinite(some)], edges)[0])
            tall = max(tall, float(heights.max()))
            along, across = {"0": edges[:-1], "1": edges[1:]}, {"0": 0.0 * heights, "1": heights}
            a, b = ("x", "y") if upright else ("y", "x")
            box.addItem(
                pg.BarGraphItem(
                    **{f"{a}{end}": values for end, values in along.items()},
                    **{f"{b}{end}": values for end, values in across.items()},
                    brush=color, pen=None,
                )
            )  # fmt: skip
        if upright:
            box.setYRange(0, tall, padding=0)
        else:
            box.setXRange(0, tall, padding=0)
