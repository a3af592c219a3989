"""Shift against TAC, one point per neuron: hover, click, Ctrl, Shift, Alt, lasso and box."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QSignalBlocker, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPolygonF
from PySide6.QtWidgets import QHBoxLayout

from bdshift.text import figure, grouped, one_line
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.numbers import percent
from bdshift_gui.plain import set_tip
from bdshift_gui.session import State
from bdshift_gui.theme import SMALL, Theme, text_font
from bdshift_gui.view import View, view
from bdshift_gui.widgets.alike_points import AlikePoints
from bdshift_gui.widgets.axis_words import (
    AXES,
    UNDER_TRIGGER,
    axis_choices,
    axis_label,
    how_they_agree,
)
from bdshift_gui.widgets.card import Text
from bdshift_gui.widgets.choice_box import ChoiceBox
from bdshift_gui.widgets.choices import Choices
from bdshift_gui.widgets.lasso_box import LassoBox, mode_of, within
from bdshift_gui.widgets.marginals import Marginals
from bdshift_gui.widgets.plot import PlotCard, Table
from bdshift_gui.widgets.point_labels import PointLabels

_REACH = 12.0  # pixels; points at most this far from the pointer are hit
_MAX_NAMES = 5  # neurons that are named
_MARGIN = 0.08  # around all points, with room for names
_SMALLER_FROM = 5000  # neurons; from there on, points are drawn smaller


@view
class ScatterView(PlotCard, View):
    """Clicking or circling points selects neurons."""

    key = "scatter"
    area = "plots"
    place = 20
    stretch = 440
    reads = (
        "audit", "tac", "selection.class_index", "selection.neurons", "selection.primary",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._box = LassoBox()
        super().__init__(context, self._rows, self._box)
        self._state = State()
        self._spoken = ""
        self._axes = "", ""
        self._short_axis = ""
        self._x: NDArray[np.float64] = np.empty(0)
        self._y: NDArray[np.float64] = np.empty(0)
        self.axis = Choices(AXES)
        self.scale = Choices(("signed", "absolute"))
        self.tool = Choices(("lasso", "box"))
        self._rankings: dict[str, NDArray[np.float64]] = {}
        self.ranking = ChoiceBox()
        self.ranking.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToContents)
        self.ranking.currentIndexChanged.connect(self._axes_chosen)
        self.corner.addWidget(self.ranking)
        for choices in (self.tool, self.scale, self.axis):
            self.corner.addWidget(choices)
            choices.chosen.connect(self.redraw if choices is self.tool else self._axes_chosen)
        self._box.drawn.connect(self._drawn)
        self._points = AlikePoints(pxMode=True)
        self._picked = AlikePoints(pxMode=True, symbol="d", size=11)
        self._primary = pg.ScatterPlotItem(pxMode=True, symbol="o", size=20, brush=None)
        self._hovered = pg.ScatterPlotItem(pxMode=True, symbol="o", size=14, brush=None)
        self._line = pg.InfiniteLine(0, 0)
        for item in (self._line, self._points, self._picked, self._primary, self._hovered):
            self.plot.addItem(item)
        self.names = PointLabels(self.plot)
        self._zoomed = False  # by the user
        self.plot.vb.sigResized.connect(self._label_left)
        self.plot.vb.sigRangeChangedManually.connect(lambda _: self._zoom())
        self.plot.showGrid(y=True, alpha=0.25)
        self.marginals = Marginals(self.plot)
        self.readout = Text("muted")
        self._chosen, self._others = Text("selected", wrap=False), Text("clean", wrap=False)
        foot = QHBoxLayout()
        foot.setSpacing(12)
        foot.addWidget(self.readout, 1)
        foot.addWidget(self._chosen)
        foot.addWidget(self._others)
        self.body.addLayout(foot)
        self.view.scene().sigMouseClicked.connect(self._clicked)
        self.view.scene().sigMouseMoved.connect(self._moved)
        self.view.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def paint(self, theme: Theme) -> None:
        self._line.setPen(pg.mkPen(theme.border))
        self._box.outline.setPen(pg.mkPen(theme.accent, width=1.5, cosmetic=True))
        self._primary.setPen(pg.mkPen(theme.text, width=2))
        self._hovered.setPen(pg.mkPen(theme.accent, width=2))
        self.names.paint(theme.text, theme.card)
        super().paint(theme)

    def show_state(self, state: State) -> None:
        """Show the neurons of the selected class."""
        if state.audit is None:
            self._state = state
            return
        before, self._state = self._state, state
        index, old_index = state.selection.class_index, before.selection.class_index
        other = before.audit is None or state.audit.model is not before.audit.model
        fresh = other or index != old_index
        axes = state.tac is not before.tac
        spoken, self._spoken = self._spoken, language()
        moved = fresh or axes or state.audit is not before.audit or spoken != language()
        if other or axes or old_index is None:
            here = state.tac is not None and state.tac.target == index
            self.axis.choose("tac" if here else "activation")
        if moved:
            self._offer_rankings()
        if moved:
            self.redraw()
        else:
            self._draw_selection()
        if fresh or axes or (moved and not self._zoomed):
            self.reset_view()

    def values(self) -> dict[str, NDArray[np.float64]]:
        """One value per neuron for every axis that the audit has data for."""
        state, index = self._state, self._state.selection.class_index
        assert state.audit is not None
        assert index is not None
        found = {"weight": state.audit.model.data_free(index)}
        if state.audit.embedding is not None:
            found["activation"] = state.audit.embedding.mean
        if state.tac is not None and state.tac.target == index:
            found |= {"tac": state.tac.change, "signed": state.tac.signed}
        return found

    def _offer_rankings(self) -> None:
        """Offer the shift, and the rankings from methods that purified this class."""
        from bdshift.audit.rankings import method_rankings

        audit, index = self._state.audit, self._state.selection.class_index
        self._rankings = {} if audit is None or index is None else method_rankings(audit, index)
        before = self.ranking.currentData()
        with QSignalBlocker(self.ranking):
            self.ranking.clear()
            self.ranking.addItem(f"y: {tr('shift')}", "")
            for name in self._rankings:
                self.ranking.addItem(f"y: {one_line(name)}", name)
            self.ranking.setCurrentIndex(max(0, self.ranking.findData(before)))
        self.ranking.setVisible(bool(self._rankings))
        set_tip(self.ranking, tr("How suspicious each method found the neurons."))
        self.ranking.setAccessibleName("y")

    def _axes_chosen(self) -> None:
        self.redraw()
        self.reset_view()

    def _shown(self) -> NDArray[np.float64]:
        """The shift, or the ranking that was chosen."""
        assert self._state.audit is not None
        assert self._state.selection.class_index is not None
        shift = self._state.audit.shifts.shift[self._state.selection.class_index]
        return self._rankings.get(self.ranking.currentData() or "", shift)

    def redraw(self) -> None:
        """Draw the points, and everything that depends on them."""
        self._label()
        state, index = self._state, self._state.selection.class_index
        if state.audit is None or index is None:
            return
        values = self.values()
        for key in AXES:
            self.axis.enable(key, key in values)
        self._box.tool = self.tool.now
        x, y = values[self.axis.now], self._shown()
        if self.scale.now == "absolute":
            x, y = np.abs(x), np.abs(y)
        self._x, self._y = x, y
        soft = QColor(self.theme.accent)
        soft.setAlpha(self.theme.soft)
        self._points.setData(x, y, size=7 if len(x) < _SMALLER_FROM else 4, brush=soft, pen=None)
        self._describe(index, values)
        self._draw_selection()

    def _draw_selection(self) -> None:
        """Draw the selection over the points."""
        state, index = self._state, self._state.selection.class_index
        if state.audit is None or index is None:
            return
        x, y = self._x, self._y
        chosen = np.zeros(len(x), dtype=bool)
        chosen[list(self._state.selection.neurons)] = True
        ink = self.theme.selected
        self._picked.setData(x[chosen], y[chosen], brush=ink, pen=None)
        self.marginals.show_values(x, y, chosen, self.theme, ink)
        primary = self._state.selection.primary
        self._mark(self._primary, primary)
        self._show_names(primary, chosen)
        self._hovered.setData([], [])
        self._chosen.show_text("◆ " + tr("selected"))
        self._show_share(state.audit.shifts.shift[index])

    def _show_names(self, primary: int | None, chosen: NDArray[np.bool_]) -> None:
        """Name the primary neuron, and the others of the selection that are highest."""
        rows = np.flatnonzero(chosen)
        order = rows[np.argsort(-np.nan_to_num(self._y[rows], nan=-np.inf), kind="stable")]
        first = [] if primary is None else [primary]
        others = [k for k in order[:_MAX_NAMES].tolist() if k != primary]
        named = [(k, tr("neuron {number}", number=k)) for k in first]
        named += [(k, str(k)) for k in others[: _MAX_NAMES - len(first)]]
        self.names.show_names(named, self._x, self._y)

    def reset_view(self) -> None:
        """Show all points."""
        self.plot.vb.autoRange(padding=_MARGIN)
        self._zoomed = False

    def _zoom(self) -> None:
        self._zoomed = True

    def _label(self) -> None:
        self.axis.label("x:", axis_choices(recovered=self._state.tac_is_recovered))
        self.scale.label(
            "",
            {"signed": ("±", tr("Signed values.")), "absolute": ("|·|", tr("Absolute values."))},
        )
        self.tool.label(
            "",
            {"lasso": (tr("lasso"),
                       tr("Drag around neurons. Shift adds, Ctrl toggles, Alt removes.")),
             "box": (tr("box"), tr("Drag a box. Shift adds, Ctrl toggles, Alt removes."))},
        )  # fmt: skip

    def _describe(self, index: int, values: dict[str, NDArray[np.float64]]) -> None:
        state = self._state
        assert state.audit is not None
        axis, name = self.axis.now, state.audit.images.class_names[index]
        shift, free = state.audit.shifts.shift[index], values["weight"]
        across = axis_label(axis, state.tac, recovered=state.tac_is_recovered)
        shown, method = self._shown(), one_line(self.ranking.currentData() or "")
        by = tr("{method} score", method=method)
        upward = by if method else tr("shift toward “{name}”", name=name)
        self._axes = across, upward
        self._short_axis = by if method else tr("shift")
        self.label_axis("bottom", across)
        self._label_left()
        reference = values[axis] if axis in UNDER_TRIGGER else None
        self.readout.show_text(how_they_agree(shown, shift, free, axis, reference, method))
        self._others.show_text("● " + tr("others"))

    def _label_left(self, _: object = None) -> None:
        """Where the axis is too short for its name, it has a short one."""
        needed = QFontMetrics(text_font(SMALL)).horizontalAdvance(self._axes[1])
        fits = needed <= self.plot.vb.height()
        self.label_axis("left", self._axes[1] if fits else self._short_axis)

    def _show_share(self, shift: NDArray[np.float64]) -> None:
        """The finding: how much of the shift the selected neurons hold."""
        chosen = list(self._state.selection.neurons)
        share = float((shift[chosen] ** 2).sum() / max((shift**2).sum(), 1e-300))
        dim, part = grouped(len(shift)), percent(share, 0)
        self.title.show_text(
            tr("1 of {dim} neurons accounts for {share} of the shift", dim=dim, share=part)
            if len(chosen) == 1
            else tr("{count} of {dim} neurons account for {share} of the shift",
                    count=grouped(len(chosen)), dim=dim, share=part)
        )  # fmt: skip
        set_tip(self.title, tr("Share of the squared length ‖s‖² in the selected neurons."))
        self.describe(tr("Shift against TAC"), f"{self.title.text()}. {self.readout.text()}")

    def _mark(self, item: pg.ScatterPlotItem, neuron: int | None) -> None:
        rows = [] if neuron is None else [neuron]
        item.setData(self._x[rows], self._y[rows])

    def neuron_at(self, scene_point: QPointF) -> int | None:
        """The nearest point within reach of the pointer."""
        if not len(self._x) or not self.plot.vb.sceneBoundingRect().contains(scene_point):
            return None
        place = self.plot.vb.mapSceneToView(scene_point)
        width, height = self.plot.vb.viewPixelSize()
        if not (width and height):
            return None
        away = ((self._x - place.x()) / width) ** 2 + ((self._y - place.y()) / height) ** 2
        nearest = int(np.nanargmin(away))
        return nearest if away[nearest] <= _REACH**2 else None

    def _clicked(self, event: object) -> None:
        if event.button() != Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            return
        neuron = self.neuron_at(event.scenePos())  # type: ignore[attr-defined]
        if neuron is not None:
            mode = mode_of(event.modifiers())  # type: ignore[attr-defined]
            self.context.selection.select_neurons([neuron], mode, neuron)

    def _moved(self, place: QPointF) -> None:
        neuron = self.neuron_at(place)
        self._mark(self._hovered, neuron)
        text = ""
        if neuron is not None:
            shown = zip(self._axes, (self._x, self._y), strict=True)
            figures = [f"{name}: {figure(float(values[neuron]))}" for name, values in shown]
            text = "\n".join([tr("neuron {number}", number=neuron), *figures])
        set_tip(self.view, text)

    def _drawn(self, shape: QPolygonF, modifiers: Qt.KeyboardModifier) -> None:
        near = np.flatnonzero(self._in_bounds(shape))
        inside = near[within(shape, self._x[near], self._y[near])]
        self.context.selection.select_neurons(inside.tolist(), mode_of(modifiers))

    def _in_bounds(self, shape: QPolygonF) -> NDArray[np.bool_]:
        box = shape.boundingRect()
        inside: NDArray[np.bool_] = (
            (self._x >= box.left()) & (self._x <= box.right())
            & (self._y >= box.top()) & (self._y <= box.bottom())
        )  # fmt: skip
        return inside

    def _rows(self) -> Table:
        chosen = self._state.selection.neurons
        head = ["neuron", self.axis.now, self.ranking.currentData() or "shift", "selected"]
        return [head, *((k, self._x[k], self._y[k], int(k in chosen)) for k in range(len(self._x)))]
