"""Where a model is among clean ones, by kind of evidence; and how right p is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QSizePolicy

from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.widgets.card import look
from bdshift_gui.widgets.plot import PlotCard, Table, name_ticks

if TYPE_CHECKING:
    from bdshift.reports.verdict_rows import EvidenceRow
    from bdshift.verdict.calibration import Calibration

_ROW, _FOOT = 26, 64  # pixels of a kind, and of all that is not one
_CLEAN_OPACITY = 0.6


class _FittingCard(PlotCard):
    """As high as its plot, whose height is fixed, and what is around it."""

    def __init__(self, context: Context, table: Callable[[], Table]) -> None:
        super().__init__(context, table)
        self._suspected = False
        self.plot.setMouseEnabled(False, False)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QFrame.sizeHint(self)

    @property
    def _ink(self) -> str:
        """The color of this model, red only if a class of it is suspected."""
        return self.theme.poisoned if self._suspected else self.theme.text


class EvidenceStrips(_FittingCard):
    """A line for each kind of evidence: a dot for each clean model, a diamond for this one."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows_as_table)
        self._shown: Sequence[EvidenceRow] = ()
        self.plot.invertY(True)
        self.plot.showGrid(x=True, alpha=0.25)
        self._labels = self.add_foot("triggered", "muted")

    def show_rows(self, rows: Sequence[EvidenceRow], *, suspected: bool) -> None:
        """Show the rows that are compared, in their order; whether a class is ``suspected``."""
        self._shown, self._suspected = [one for one in rows if one.is_compared], suspected
        self.redraw()

    def redraw(self) -> None:
        self.plot.clear()
        if not self._shown:
            return
        from bdshift.reports.verdict_rows import DOTS, DRAWN, TICKS

        self.title.show_text(tr("Strength, compared with clean models"))
        set_tip(self.title, tr(DOTS))
        self.view.setFixedHeight(_ROW * max(1, len(self._shown)) + _FOOT)
        for y, row in enumerate(self._shown):
            self._draw([float(one) for one in row.clean], y, self.theme.bar, "o", 7)
            self._draw([row.own], y, self._ink, "d", 13)
        names = [(float(y), row.cells[0]) for y, row in enumerate(self._shown)]
        name_ticks(self.plot.getAxis("left"), names)
        low, high = DRAWN
        ends = [(x, f"{x:g}" + "+" * (x == high)) for x in TICKS]
        name_ticks(self.plot.getAxis("bottom"), ends)
        self.label_axis("bottom", tr("strength"))
        self.plot.setXRange(low - 0.4, high + 0.4, padding=0)
        self.plot.setYRange(-0.6, len(self._shown) - 0.4, padding=0)
        look(self._labels[0], "triggered" if self._suspected else "")
        self._labels[0].show_text("◆ " + tr("this model"))
        self._labels[1].show_text("● " + tr("clean models"))
        self.describe(
            self.title.text(),
            "; ".join(f"{one.cells[0]}: {one.own:.1f}, p {one.cells[-1]}" for one in self._shown),
        )

    def _draw(self, values: Sequence[float], y: int, ink: str, symbol: str, size: int) -> None:
        from bdshift.reports.verdict_rows import DRAWN

        color = pg.mkColor(ink)
        color.setAlphaF(_CLEAN_OPACITY if symbol == "o" else 1.0)
        inside = [min(max(one, DRAWN[0]), DRAWN[1]) for one in values]
        self.plot.addItem(
            pg.ScatterPlotItem(
                inside, [y] * len(inside), symbol=symbol, size=size, brush=color, pen=None
            )
        )

    def _rows_as_table(self) -> Table:
        return [["kind", "strength", "clean models"],
                *([one.cells[0], one.own, " ".join(f"{x:.4g}" for x in one.clean)]
                  for one in self._shown)]  # fmt: skip


class CalibrationPlot(_FittingCard):
    """How many clean models that the table did not know have a p of at most x, for each x."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows_as_table)
        self._known: Calibration | None = None
        self._own = 1.0
        self.setObjectName("plain")  # it is within a card
        self.plot.showGrid(y=True, alpha=0.25)
        self.view.setFixedHeight(230)
        self.title.hide()
        self._labels = self.add_foot("triggered", "clean", "muted", "bar")

    def show_calibration(self, known: Calibration, own: float, *, suspected: bool) -> None:
        """Show a calibration, and the p of this model; whether a class of it is ``suspected``."""
        self._known, self._own, self._suspected = known, own, suspected
        self.redraw()

    def redraw(self) -> None:
        self.plot.clear()
        known = self._known
        if known is None:
            return
        from bdshift.reports.verdict_rows import AXIS_SHARE, CURVES
        from bdshift.verdict.calibration import share_curve

        dashed, dotted = Qt.PenStyle.DashLine, Qt.PenStyle.DotLine
        self._line([(0.0, 0.0), (1.0, 1.0)], pg.mkPen(self.theme.bar, width=1.5, style=dotted))
        if known.held_out:
            pen = pg.mkPen(self.theme.muted, width=2, style=dashed)
            self._line(share_curve(known.held_out), pen)
        self._line(share_curve(known.left_out), pg.mkPen(self.theme.accent, width=2))
        self.plot.addItem(pg.InfiniteLine(self._own, 90, pen=pg.mkPen(self._ink, width=1.5)))
        look(self._labels[0], "triggered" if self._suspected else "")
        for label, mark, key in zip(
            self._labels, ("│ ", "━ ", "╍ ", "┈ "), ("own", "left_out", "held_out", "right"),
            strict=True,
        ):  # fmt: skip
            there = key != "held_out" or bool(known.held_out)
            label.show_text(mark + tr(CURVES[key]) if there else "")
        name_ticks(self.plot.getAxis("left"), [(x, percent(x, 0)) for x in (0.0, 0.5, 1.0)])
        quarters = [(x, f"{x:g}") for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
        name_ticks(self.plot.getAxis("bottom"), quarters)
        self.label_axis("bottom", "p")
        self.label_axis("left", tr(AXIS_SHARE))
        self.plot.setXRange(0, 1, padding=0.02)
        self.plot.setYRange(0, 1, padding=0.06)
        self.describe(tr(AXIS_SHARE), f"p {self._own:.2g}")

    def _line(self, points: Sequence[tuple[float, float]], pen: object) -> None:
        x, y = zip(*points, strict=True)
        self.plot.addItem(pg.PlotDataItem(x, y, pen=pen))

    def _rows_as_table(self) -> Table:
        known = self._known
        if known is None:
            return [["p"]]
        return [["models", "p"], *(["left out", one] for one in known.left_out),
                *(["held out", one] for one in known.held_out)]  # fmt: skip
