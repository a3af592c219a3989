"""What each multiple of a task vector leaves: by α, and as a trade beside the control's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyqtgraph as pg
from PySide6.QtCore import Qt

from bdshift.text import figure
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.widgets.plot import PlotCard, Table

if TYPE_CHECKING:
    from bdshift.purification.multiples import Multiple

_BAND_OPACITY = 28  # of 255
_MIN_HEIGHT = 150  # pixels


class _MultiplesCard(PlotCard):
    """A plot of multiples; ``place`` is the one that the slider is on."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self.curve: Sequence[Multiple] = ()
        self.control: Sequence[Multiple] = ()
        self.place = 0
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(x=True, y=True, alpha=0.25)
        self.view.setMinimumHeight(_MIN_HEIGHT)

    def show_curves(
        self, curve: Sequence[Multiple], control: Sequence[Multiple], place: int
    ) -> None:
        """Show both curves."""
        self.curve, self.control, self.place = curve, control, place
        self.redraw()

    def _line(
        self, x: Sequence[float], y: Sequence[float], ink: str, *, dashed: bool = False
    ) -> None:
        style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
        self.plot.addItem(
            pg.PlotDataItem(
                x, y, pen=pg.mkPen(ink, width=2, style=style), symbol="o", symbolSize=5,
                symbolBrush=ink, symbolPen=None,
            )
        )  # fmt: skip

    def _band(self, orientation: str) -> None:
        """Shade where enough accuracy is left."""
        low, high = self.curve[0].least, 1.0
        if not math.isfinite(low):
            return
        ink = pg.mkColor(self.theme.accent)
        ink.setAlpha(_BAND_OPACITY)
        self.plot.addItem(
            pg.LinearRegionItem(
                (low, high), orientation, movable=False, brush=pg.mkBrush(ink), pen=pg.mkPen(None)
            )
        )

    def _rows(self) -> Table:
        rows = [
            [name, one.alpha, one.accuracy, one.asr, one.recall]
            for name, points in (("vector", self.curve), ("control", self.control))
            for one in points
        ]
        return [["what", "alpha", "accuracy", "asr", "recall"], *rows]


class AlphaPlot(_MultiplesCard):
    """Accuracy, ASR and recall by α; where enough accuracy is left is shaded."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._labels = self.add_foot("clean", "triggered", "muted")

    def redraw(self) -> None:
        self.plot.clear()
        if not self.curve:
            return
        self.title.show_text(tr("What each multiple leaves"))
        set_tip(self.title, tr("On held-out images, for θ − α·τ. Shaded: enough accuracy is left."))
        self._band("horizontal")
        x = [one.alpha for one in self.curve]
        lines = (
            ([one.accuracy for one in self.curve], self.theme.accent, tr("accuracy"), False),
            ([one.asr for one in self.curve], self.theme.poisoned, "ASR", False),
            ([one.recall for one in self.curve], self.theme.muted, tr("target's recall"), True),
        )
        for (y, ink, name, dashed), label in zip(lines, self._labels, strict=True):
            self._line(x, y, ink, dashed=dashed)
            label.show_text(f"● {name}")
        here = self.curve[self.place]
        pen = pg.mkPen(self.theme.text, width=1, style=Qt.PenStyle.DotLine)
        self.plot.addItem(pg.InfiniteLine(here.alpha, 90, pen=pen))
        self.label_axis("bottom", "α")
        self.plot.setXRange(0, max(x) or 1, padding=0.03)
        self.plot.setYRange(0, 1, padding=0.03)
        self.describe(
            self.title.text(),
            "; ".join(
                f"α {figure(one.alpha, '.3g')}: {percent(one.accuracy)}, ASR {percent(one.asr)}"
                for one in self.curve
            ),
        )


class TradePlot(_MultiplesCard):
    """ASR against accuracy: of the vector, and of the control without the trigger."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._labels = self.add_foot("triggered", "muted")

    def redraw(self) -> None:
        self.plot.clear()
        if not self.curve:
            return
        from bdshift.purification.multiples import shown_accuracies

        self.title.show_text(tr("What it costs, beside a control"))
        set_tip(
            self.title,
            tr("The control is learned from the same images without the trigger. Where its line is "
               "as low, it is the class that is unlearned, not the trigger."),
        )  # fmt: skip
        self._band("vertical")
        names = (tr("the trigger's vector"), tr("control, without the trigger"))
        inks = (self.theme.poisoned, self.theme.muted)
        both = (self.curve, self.control)
        for points, ink, name, label in zip(both, inks, names, self._labels, strict=True):
            label.show_text(f"● {name}" if points else "")
            if points:
                self._line(
                    [one.accuracy for one in points], [one.asr for one in points], ink,
                    dashed=points is self.control,
                )  # fmt: skip
        here = self.curve[self.place]
        self.plot.addItem(
            pg.PlotDataItem(
                [here.accuracy], [here.asr], pen=None, symbol="d", symbolSize=13,
                symbolBrush=self.theme.text, symbolPen=None,
            )
        )  # fmt: skip
        self.label_axis("bottom", tr("accuracy"))
        self.label_axis("left", "ASR")
        low, high = shown_accuracies(self.curve, self.control)
        self.plot.setXRange(low, high, padding=0.05)
        self.plot.setYRange(0, 1, padding=0.03)
        self.describe(self.title.text(), ", ".join(names))
