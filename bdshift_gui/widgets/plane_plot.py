"""Weight-disentanglement errors over a plane, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor

from bdshift_gui.context import Context
from bdshift_gui.i18n import language, say, tr
from bdshift_gui.plain import lines, set_tip
from bdshift_gui.theme import SMALL, text_font
from bdshift_gui.widgets.plot import PlotCard, Table

if TYPE_CHECKING:
    from bdshift.purification.disentanglement import Mixture, WeightPlane

_MIN_HEIGHT = 150  # pixels
_ON_ITS_RIGHT, _ON_ITS_LEFT = (-0.1, 0.5), (1.1, 0.5)  # where a mark's name is


class PlanePlot(PlotCard):
    """The darker a square, the larger ξ. Points that are not measured yet look like the nearest one
    that is.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context, self._rows)
        self._plane: WeightPlane | None = None
        self._spoken = ""
        self._image = pg.ImageItem(axisOrder="row-major")
        self.plot.addItem(self._image)
        self.plot.setMouseEnabled(False, False)
        self.plot.setAspectLocked(True)
        self.view.setMinimumHeight(_MIN_HEIGHT)
        self.view.scene().sigMouseMoved.connect(self._moved)
        self._marks: list[pg.GraphicsObject] = []
        [self.here] = self.add_foot("muted")

    def show_plane(self, plane: WeightPlane | None) -> None:
        """Show what is measured, or nothing, in the language of the window."""
        if (plane, language()) != (self._plane, self._spoken):
            self._plane, self._spoken = plane, language()
            self.redraw()

    def redraw(self) -> None:
        self.title.show_text(tr("Weight-disentanglement error ξ"))
        set_tip(
            self.title,
            tr("How much the answers for clean images depend on how much of the backdoor is in the "
               "weights, and those for triggered images on how much of the clean task is: 0 is "
               "none, 2 is all."),
        )  # fmt: skip
        self.label_axis("bottom", tr("α_c, the clean task"))
        self.label_axis("left", tr("α_t, the trigger"))
        for mark in self._marks:
            self.plot.removeItem(mark)
        self._marks.clear()
        self.here.show_text(
            "" if self._plane is None else tr("Background color: ξ is 0. Full color: 2.")
        )
        self._image.setVisible(self._plane is not None)
        if self._plane is None:
            self.describe(self.title.text(), "")
            return
        from bdshift.purification.disentanglement import LARGEST_ERROR

        self.here.show_text(tr("Background color: ξ is 0. Full color: 2."))
        axis, values = _grid(self._plane.mixtures)
        half = (axis[1] - axis[0]) / 2 if len(axis) > 1 else 0.5
        low, side = axis[0] - half, axis[-1] - axis[0] + 2 * half
        self._image.setLookupTable(self._shades())
        self._image.setImage(values, levels=(0.0, LARGEST_ERROR), autoDownsample=False)
        self._image.setRect(QRectF(low, low, side, side))
        self.plot.setRange(QRectF(low, low, side, side), padding=0.02)
        self._mark((1.0, 1.0), tr("audited"), _ON_ITS_RIGHT)
        self._mark((1.0, 0.0), tr("purified"), _ON_ITS_RIGHT)
        self._mark((0.0, 1.0), tr("only the backdoor"), _ON_ITS_LEFT)
        at_one = self._plane.audited
        self.describe(self.title.text(), "" if at_one is None else say(at_one.sentence))

    def _mark(self, place: tuple[float, float], name: str, anchor: tuple[float, float]) -> None:
        ink = self.theme.poisoned
        point = pg.ScatterPlotItem([place[0]], [place[1]], symbol="o", size=9, brush=ink, pen=None)
        label = pg.TextItem(lines(name), color=self.theme.text, anchor=anchor)
        label.setFont(text_font(SMALL))
        label.setPos(*place)
        back = QColor(self.theme.card)
        back.setAlpha(200)
        label.fill = pg.mkBrush(back)
        for item in (point, label):
            self.plot.addItem(item)
            self._marks.append(item)

    def _shades(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """From the card's color to the accent."""
        light, dark = (
            np.array([one.red(), one.green(), one.blue()])
            for one in (QColor(self.theme.card), QColor(self.theme.accent))
        )
        share = np.linspace(0, 1, 256)[:, None]
        return np.asarray((1 - share) * light + share * dark, np.uint8)

    def _moved(self, at: QPointF) -> None:
        """Say what the square under the pointer is."""
        if self._plane is None:
            return
        where = self.plot.vb.mapSceneToView(at)
        x, y = where.x(), where.y()
        near = min(
            self._plane.mixtures,
            key=lambda one: (one.alpha_clean - x) ** 2 + (one.alpha_trigger - y) ** 2,
        )
        self.here.show_text(
            f"α_c {near.alpha_clean:g}, α_t {near.alpha_trigger:g}: ξ {near.error:.2f}"
        )

    def _rows(self) -> Table:
        points = () if self._plane is None else self._plane.mixtures
        rows = [[*one.place, one.error, one.clean, one.triggered] for one in points]
        return [["alpha_clean", "alpha_trigger", "error", "clean", "triggered"], *rows]


def _grid(
    mixtures: tuple[Mixture, ...],
) -> tuple[list[float], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """The values along both axes, and ξ at each pair, (α_t, α_c); where there is none, that of the
    nearest.
    """
    axis = sorted({value for one in mixtures for value in one.place})
    errors = np.full((len(axis), len(axis)), np.nan)
    known = np.array([[axis.index(value) for value in one.place[::-1]] for one in mixtures])
    errors[tuple(known.T)] = [one.error for one in mixtures]
    at = np.array(axis)
    for row, column in np.argwhere(np.isnan(errors)):
        apart = (at[known[:, 0]] - at[row]) ** 2 + (at[known[:, 1]] - at[column]) ** 2
        errors[row, column] = mixtures[int(apart.argmin())].error
    return axis, errors
