"""The curves of a purification, as it goes and afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pyqtgraph as pg
from PySide6.QtCore import Qt

from bdshift_gui.i18n import tr
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table

_CURVES = {
    "shares": ("held_out_accuracy", "asr", "ra"),
    "norms": ("target_norm", "other_norms"),
    "z": ("target_z",),
    "loss": ("loss", "held_out_loss"),
}


class CurvesView(PlotCard):
    """Figures by step."""

    def __init__(self) -> None:
        super().__init__(self._rows)
        self._steps: Sequence[Mapping[str, float]] = ()
        self._name = ""
        self._kept: int | None = None
        self.title.setWordWrap(False)
        self.what = Choices(tuple(_CURVES))
        self.what.chosen.connect(self.redraw)
        self.corner.addWidget(self.what)
        self._labels = self.add_foot("clean", "triggered", "muted")
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(y=True, alpha=0.25)

    def show_steps(
        self, name: str, steps: Sequence[Mapping[str, float]], kept: int | None = None
    ) -> None:
        """Show a run as far as it is; the step that was ``kept`` is marked."""
        self._name, self._steps, self._kept = name, steps, kept
        self.redraw()

    def redraw(self) -> None:
        words = {
            "held_out_accuracy": tr("held-out accuracy"), "asr": "ASR", "ra": "RA",
            "target_norm": tr("target's norm"), "other_norms": tr("mean of the others"),
            "target_z": tr("target's z"), "loss": tr("loss"),
            "held_out_loss": tr("held-out loss"),
        }  # fmt: skip
        self.what.label(
            "",
            {"shares": (tr("accuracy, ASR"), tr("On images that are not learned from.")),
             "norms": (tr("norms"), tr("L2 of the shifts on the held-out images.")),
             "z": ("z", tr("Of the target's norm among all classes, on held-out images.")),
             "loss": (tr("loss"), tr("What the method descends."))},
        )  # fmt: skip
        self.title.show_text(self._name or tr("No purification yet"))
        self.plot.clear()
        for label in self._labels:
            label.show_text("")
        inks = (self.theme.accent, self.theme.poisoned, self.theme.muted)
        styles = (Qt.PenStyle.SolidLine, Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)
        if self._kept is not None:
            pen = pg.mkPen(self.theme.muted, width=1, style=Qt.PenStyle.DotLine)
            self.plot.addItem(pg.InfiniteLine(self._kept + 1, 90, pen=pen))
        for name, ink, style, label in zip(
            _CURVES[self.what.now], inks, styles, self._labels, strict=False
        ):
            points = [
                (i, step[name])
                for i, step in enumerate(self._steps, 1)
                if math.isfinite(step.get(name, math.nan))
            ]
            if points:
                x, y = zip(*points, strict=True)
                pen = pg.mkPen(ink, width=2, style=style)
                self.plot.addItem(
                    pg.PlotDataItem(
                        x, y, pen=pen, symbol="o", symbolSize=5, symbolBrush=ink, symbolPen=None
                    )
                )  # fmt: skip
                label.show_text(f"● {words[name]}")
        if self.what.now == "shares":
            self.plot.setYRange(0, 1, padding=0.03)
        else:
            self.plot.enableAutoRange("y")
        self.plot.setXRange(1, max(2, len(self._steps)), padding=0.03)
        self.describe(tr("Curves of a purification"), self.title.text())

    def _rows(self) -> Table:
        names = list(dict.fromkeys(name for step in self._steps for name in step))
        rows = (
            [i, *(step.get(name, "") for name in names)] for i, step in enumerate(self._steps, 1)
        )
        return [["step", *names], *rows]
