"""Accuracy and attack success of every model, the best DER first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyqtgraph as pg

from bdshift.text import figure
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.theme import SMALL, text_font
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.plot import PlotCard, Table, name_ticks

_ROW_HEIGHT = 11  # pixels per model: as small as its name can be
_MAX_NAME = 18  # characters


@dataclass(frozen=True)
class ModelFigures:
    """A model: shares in [0, 1]; ``asr`` and ``der`` are None where no trigger is known."""

    name: str
    acc: float
    asr: float | None
    der: float | None


class OutcomeBars(PlotCard):
    """Two bars per model. ``what`` chooses between this and the table in its place."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._models: Sequence[ModelFigures] = ()
        self.what = Choices(("table", "plot"))
        self.what.choose("plot")
        self._labels = Text("clean", wrap=False), Text("triggered", wrap=False)
        for widget in (*self._labels, self.what):
            self.corner.addWidget(widget)
        self.plot.setMouseEnabled(False, False)
        self.plot.showGrid(x=True, alpha=0.25)
        self.plot.vb.sigResized.connect(self.redraw)
        self.view.setMinimumHeight(110)

    def show_models(self, models: Sequence[ModelFigures]) -> None:
        """Show models: those without DER, such as the original, in their order, then by DER, best
        first.
        """
        self._models = sorted(models, key=lambda one: -1 if one.der is None else -one.der)
        self.redraw()

    def redraw(self) -> None:
        self.plot.clear()
        room = max(1, int(self.plot.vb.boundingRect().height() / _ROW_HEIGHT))
        shown = self._models[:room]
        self.title.show_text(
            tr("All models of this audit") if len(shown) == len(self._models)
            else tr("{count} of {all} models, best DER first", count=len(shown),
                    all=len(self._models))
        )  # fmt: skip
        for label, word in zip(self._labels, ("ACC", "ASR"), strict=True):
            label.show_text(f"■ {word}")
        rows = [float(len(shown) - 1 - number) for number in range(len(shown))]
        for offset, ink, values in (
            (0.2, self.theme.accent, [one.acc for one in shown]),
            (-0.2, self.theme.poisoned, [one.asr or 0.0 for one in shown]),
        ):
            self.plot.addItem(
                pg.BarGraphItem(
                    x0=0, y=[row + offset for row in rows], height=0.36,
                    width=[100 * value for value in values], brush=ink, pen=None,
                )
            )  # fmt: skip
        for row, one in zip(rows, shown, strict=True):
            if one.der is not None:
                text = pg.TextItem(figure(one.der, ".3f"), color=self.theme.muted, anchor=(0, 0.5))
                text.setFont(text_font(SMALL))
                text.setPos(103, row)
                self.plot.addItem(text)
        names = [one.name[:_MAX_NAME] for one in shown]
        name_ticks(self.plot.getAxis("left"), zip(rows, names, strict=True))
        self.plot.setYRange(-0.6, max(1, len(shown)) - 0.4, padding=0)
        self.plot.setXRange(0, 114, padding=0)
        ticks = [(float(value), f"{value}%") for value in range(0, 101, 20)]
        name_ticks(self.plot.getAxis("bottom"), [*ticks, (107.0, "DER")])
        self.describe(
            self.title.text(),
            ", ".join(
                f"{one.name}: ACC {one.acc:.1%}, ASR {figure(one.asr, '.1%')}" for one in shown
            ),
        )

    def _rows(self) -> Table:
        rows = ([one.name, one.acc, one.asr, one.der] for one in self._models)
        return [["model", "acc", "asr", "der"], *rows]
