"""The curves of a purification, while it runs and afterward."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pyqtgraph as pg
from PySide6.QtCore import Qt

from bdshift.purification.quantities import AXES, quantities
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.plain import set_tip
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table

_MAX_CURVES = 4  # on one axis: as many as there are colors and dashes


class CurvesPlot(PlotCard):
    """Figures by step, on the axes of `bdshift.purification.quantities`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._steps: Mapping[int, Mapping[str, float]] = {}
        self._name = self._waits = ""
        self._kept: int | None = None
        self._total = 0
        self._nothing = Text("muted")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.body.insertWidget(0, self._nothing)
        self.title.setWordWrap(False)
        self.what = Choices(tuple(AXES))
        self.what.chosen.connect(self.redraw)
        self.corner.addWidget(self.what)
        self._labels = self.add_foot("clean", "triggered", "muted", "bar")
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(y=True, alpha=0.25)

    def show_steps(
        self, name: str, steps: Mapping[int, Mapping[str, float]], kept: int | None = None, *,
        total: int = 0, waits: str = "",
    ) -> None:  # fmt: skip
        """Show a run so far by the numbers of its steps, from 1; 0 is what is known of the network
        before the first. It has ``total`` steps, if that is known; the one that was ``kept`` is
        marked. ``waits`` is said in place of an empty plot.
        """
        self._name, self._steps, self._kept, self._waits = name, steps, kept, waits
        self._total = max(total, *steps, 1)
        self.redraw()

    def redraw(self) -> None:
        self.what.label("", {key: (tr(label), tr(tip)) for key, (label, tip) in AXES.items()})
        self.title.show_text(self._name or tr("No purification yet"))
        self.plot.clear()
        for label in self._labels:
            label.show_text("")
        inks = (self.theme.accent, self.theme.poisoned, self.theme.muted, self.theme.bar)
        solid, dashed = Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine
        styles = (solid, solid, dashed, dashed)
        there = {name for step in self._steps.values() for name in step}
        self.view.setVisible(bool(there))
        self._nothing.show_text("" if there else self._waits)
        known = quantities().values() if there else ()  # to ask for them takes torch
        drawn = [one for one in known if one.axis == self.what.now and one.name in there]
        if self._kept is not None:
            pen = pg.mkPen(self.theme.muted, width=1, style=Qt.PenStyle.DotLine)
            self.plot.addItem(pg.InfiniteLine(self._kept, 90, pen=pen))
        for one, ink, style, label in zip(
            drawn[:_MAX_CURVES], inks, styles, self._labels, strict=False
        ):
            points = [
                (number, step[one.name])
                for number, step in sorted(self._steps.items())
                if math.isfinite(step.get(one.name, math.nan))
            ]
            if points:
                x, y = zip(*points, strict=True)
                pen = pg.mkPen(ink, width=2, style=style)
                self.plot.addItem(
                    pg.PlotDataItem(
                        x, y, pen=pen, symbol="o", symbolSize=5, symbolBrush=ink, symbolPen=None
                    )
                )  # fmt: skip
                label.show_text(f"● {tr(one.label)}")
                set_tip(label, tr(one.help))
        if self.what.now == "shares":
            self.plot.setYRange(0, 1, padding=0.03)
        else:
            self.plot.enableAutoRange("y")
        self.plot.setXRange(0, self._total, padding=0.03)
        self.label_axis("bottom", tr("step"))
        self.describe(tr("Curves of a purification"), self.title.text())

    def _rows(self) -> Table:
        steps = sorted(self._steps.items())
        names = list(dict.fromkeys(name for number, step in steps if number for name in step))
        rows = (
            [number, *(step.get(name, "") for name in names)]
            for number, step in steps if number or step
        )  # fmt: skip
        return [["step", *names], *rows]
