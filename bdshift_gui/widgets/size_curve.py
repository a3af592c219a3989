"""How large the change must be for each attack success: the class asked about against controls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyqtgraph as pg

from bdshift.text import figure
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.theme import SMALL, text_font
from bdshift_gui.widgets.plot import PlotCard, Table, name_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bdshift.recovery.recovery import Attempt, SizeOf

_ROOM = 1.5  # above the largest size, where what is out of reach is marked


class SizeCurve(PlotCard):
    """Sizes on a logarithmic axis at the levels of `bdshift.recovery.recovery`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._attempt: Attempt | None = None
        self._names: Sequence[str] = ()
        self._unit = ""
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(y=True, alpha=0.25)
        self.view.setMinimumHeight(130)
        self._labels = self.add_foot("triggered", "muted")

    def show_attempt(self, attempt: Attempt, names: Sequence[str], unit: str) -> None:
        """Show the sizes that an attempt found; ``names`` are those of all classes."""
        self._attempt, self._names, self._unit = attempt, names, unit
        self.redraw()

    def redraw(self) -> None:
        attempt = self._attempt
        self.plot.clear()
        if attempt is None:
            return
        from bdshift.recovery.recovery import LEVELS

        self.title.show_text(tr("Size against control classes"))
        set_tip(
            self.title,
            tr("The smallest change that sends this share of unused images of other classes to the "
               "class. A backdoor needs much less than a class that nobody poisoned."),
        )  # fmt: skip
        every = [size for one in (attempt.target, *attempt.controls) for size in one.sizes]
        known = [size for size in every if 0 < size < math.inf]
        low, high = min(known, default=1.0) / _ROOM, max(known, default=10.0) * _ROOM
        for one in attempt.controls:
            self._draw(one, high, self.theme.muted, "o", 7)
        self._draw(attempt.target, high, self.theme.poisoned, "d", 11)
        self._labels[0].show_text(f"◆ {self._names[attempt.target.target]}")
        count = len(attempt.controls)
        self._labels[1].show_text(
            "● " + tr("{count:|control class|control classes}", count=count) if count else ""
        )
        ticks = [(float(x), percent(level, 0)) for x, level in enumerate(LEVELS)]
        name_ticks(self.plot.getAxis("bottom"), ticks)
        self.label_axis("bottom", tr("attack success on unused images"))
        self.label_axis("left", self._unit)
        self._name_sizes(low, high, unreached=any(map(math.isinf, every)))
        self.plot.setXRange(-0.4, len(LEVELS) - 0.6, padding=0)
        top = high * _ROOM
        self.plot.setYRange(math.log10(low), math.log10(top), padding=0)
        self.describe(
            self.title.text(),
            "; ".join(
                f"{self._names[one.target]}: "
                + ", ".join(
                    f"{percent(level, 0)} {figure(size, '.3g')}"
                    for level, size in zip(LEVELS, one.sizes, strict=True)
                )
                for one in (attempt.target, *attempt.controls)
            ),
        )

    def _draw(self, one: SizeOf, high: float, ink: str, symbol: str, size: int) -> None:
        """A line through the sizes that were reached; the others are triangles at the top."""
        sizes = list(enumerate(one.sizes))
        reached = [(x, math.log10(value)) for x, value in sizes if 0 < value < math.inf]
        missed = [x for x, value in sizes if math.isinf(value)]
        if reached:
            x, y = zip(*reached, strict=True)
            self.plot.addItem(
                pg.PlotDataItem(
                    x, y, pen=pg.mkPen(ink, width=2 if symbol == "d" else 1), symbol=symbol,
                    symbolSize=size, symbolBrush=ink, symbolPen=None,
                )
            )  # fmt: skip
        if missed:
            top = [math.log10(high)] * len(missed)
            self.plot.addItem(
                pg.PlotDataItem(
                    missed, top, pen=None, symbol="t1", symbolSize=size,
                    symbolBrush=None, symbolPen=pg.mkPen(ink, width=1.5),
                )
            )  # fmt: skip

    def _name_sizes(self, low: float, high: float, *, unreached: bool) -> None:
        """Name round sizes on the axis, and its top if something is out of reach."""
        steps = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5)]
        inside = [value for value in steps if low <= value <= high / 1.2]
        while len(inside) > 5:
            inside = inside[::2]
        ticks = [(math.log10(value), figure(value)) for value in inside]
        if unreached:
            ticks.append((math.log10(high), tr("not reached")))
        axis = self.plot.getAxis("left")
        axis.setTickFont(text_font(SMALL))
        name_ticks(axis, ticks)

    def _rows(self) -> Table:
        from bdshift.recovery.recovery import LEVELS

        if self._attempt is None:
            return [["class"]]
        every = (self._attempt.target, *self._attempt.controls)
        heads = ["class", *(f"size at {level}" for level in LEVELS), "asr"]
        return [heads, *([self._names[one.target], *one.sizes, one.asr] for one in every)]
