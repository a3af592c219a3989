"""Names of points, and what a zoom does to the scatter."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest
from driving import audit_of, find
from known import TARGET
from PySide6.QtCore import QPointF, QRectF
from pytestqt.qtbot import QtBot

from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.showing import set_alpha
from bdshift_gui.views.scatter import ScatterView
from bdshift_gui.widgets.axis_words import AXES
from bdshift_gui.widgets.plot import bare_plot, name_rows
from bdshift_gui.widgets.point_labels import PointLabels


def view_of(qtbot: QtBot, x: np.ndarray, y: np.ndarray) -> pg.PlotWidget:
    view = bare_plot()
    qtbot.addWidget(view)
    view.resize(500, 300)
    view.show()
    plot = view.getPlotItem()
    plot.addItem(pg.ScatterPlotItem(x, y))
    plot.vb.autoRange(padding=0.1)
    return view


def in_scene(plot: pg.PlotItem, x: float, y: float) -> QPointF:
    found: QPointF = plot.vb.mapViewToScene(QPointF(x, y))
    return found


def test_names_are_on_no_point_and_no_other_name(qtbot: QtBot) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(size=40)
    view = view_of(qtbot, x, y)
    plot = view.getPlotItem()
    labels = PointLabels(plot)
    labels.show_names([(k, f"neuron {k}") for k in range(6)], x, y)
    assert len(labels.shown) >= 4
    rects = list(labels.shown.values())
    for place, rect in enumerate(rects):
        assert not any(rect.intersects(other) for other in rects[place + 1 :])
        assert plot.vb.sceneBoundingRect().contains(rect)
        if place:  # the first is written in any case
            assert not any(rect.contains(in_scene(plot, *one)) for one in zip(x, y, strict=True))
    far = [abs(in_scene(plot, x[k], y[k]).x() - rect.center().x()) for k, rect in
           labels.shown.items()]  # fmt: skip
    assert max(far) < 80, "each is beside its own point"


def away(rect: QRectF, at: QPointF) -> float:
    across = max(rect.left() - at.x(), 0.0, at.x() - rect.right())
    up = max(rect.top() - at.y(), 0.0, at.y() - rect.bottom())
    return float(np.hypot(across, up))


def test_a_name_is_nearest_to_its_own_point_or_a_line_leads_to_it(qtbot: QtBot) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=60), rng.normal(size=60)
    view = view_of(qtbot, x, y)
    plot = view.getPlotItem()
    labels = PointLabels(plot)
    labels.show_names([(k, f"neuron {k}") for k in range(9)], x, y)
    points = [in_scene(plot, *one) for one in zip(x, y, strict=True)]
    shown = labels.shown
    led = np.stack(labels._leaders.getData(), 1)
    lines = 0
    for point, rect in shown.items():
        if np.isclose(led, [x[point], y[point]], atol=0.02).all(1).any():
            lines += 1
            continue
        others = [away(rect, one) for k, one in enumerate(points) if k != point]
        assert away(rect, points[point]) < min(others), point
    assert 0 < lines < len(shown)
    assert len(led) == 2 * lines


def test_they_are_placed_again_when_the_plot_is_zoomed(qtbot: QtBot) -> None:
    x, y = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    view = view_of(qtbot, x, y)
    plot = view.getPlotItem()
    labels = PointLabels(plot)
    labels.show_names([(0, "a"), (1, "b")], x, y)
    assert set(labels.shown) == {0, 1}
    plot.vb.setRange(xRange=(0.5, 1.5), yRange=(0.5, 1.5), padding=0)
    assert set(labels.shown) == {1}, "the other is outside"
    labels.show_names([], x, y)
    assert not labels.shown


def test_several_changes_cost_one_placement(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    view = view_of(qtbot, x, y)
    plot = view.getPlotItem()
    labels = PointLabels(plot)
    placed: list[int] = []
    place = labels._place

    def counted() -> None:
        placed.append(len(labels._names))
        place()

    monkeypatch.setattr(labels, "_place", counted)
    labels.show_names([(0, "a")], x, y)
    labels.show_names([(0, "a"), (1, "b")], x, y)
    plot.vb.setRange(xRange=(-1, 2), yRange=(-1, 2), padding=0)
    view.grab()
    assert placed == [2]
    view.grab()
    assert placed == [2], "nothing changed"


def test_the_strongest_of_the_selection_are_named(opened: MainWindow) -> None:
    view = find(opened, ScatterView)
    shift = audit_of(opened).shifts.shift[TARGET]
    strongest = np.argsort(-shift)[:9].tolist()
    opened.context.selection.select_neurons(strongest, primary=strongest[7])
    named = [k for k, _ in view.names._names]
    assert named == [strongest[7], *strongest[:4]]
    opened.context.selection.select_neurons([], primary=None)
    assert view.names._names == []


def test_axes_follow_alpha_until_the_user_zooms(opened: MainWindow) -> None:
    view = find(opened, ScatterView)

    def all_is_shown() -> bool:
        (_, _), (low, high) = view.plot.vb.viewRange()
        return bool(low <= view._y.min() and view._y.max() <= high)

    assert opened.session.state.shift_is_quick
    set_alpha(opened.context, 0.01)
    assert all_is_shown(), "the shifts are longer"
    view.plot.vb.setRange(yRange=(0.0, 0.1), padding=0)
    view.plot.vb.sigRangeChangedManually.emit([True, True])
    set_alpha(opened.context, 0.5)
    assert not all_is_shown(), "the zoom stays"
    view.reset_view()
    assert all_is_shown()


def test_another_axis_is_shown_whole(opened: MainWindow) -> None:
    view = find(opened, ScatterView)

    def all_are_in_view() -> bool:
        (left, right), (low, high) = view.plot.vb.viewRange()
        return bool(
            left <= view._x.min() and view._x.max() <= right
            and low <= view._y.min() and view._y.max() <= high
        )  # fmt: skip

    for number in range(len(AXES)):
        view.axis._group.button(number).click()
        assert all_are_in_view(), AXES[number]


def test_values_under_the_pointer_have_names(opened: MainWindow) -> None:
    view = find(opened, ScatterView)
    neuron = int(audit_of(opened).shifts.shift[TARGET].argmax())
    place = view.plot.vb.mapViewToScene(QPointF(float(view._x[neuron]), float(view._y[neuron])))
    view._moved(place)
    tip = view.view.toolTip()
    assert f"neuron {neuron}" in tip
    assert "shift toward “speed_80”: " in tip
    assert "TAC, mean" in tip


def test_long_names_beside_rows_keep_their_end() -> None:
    axis = pg.AxisItem("left")
    name_rows(axis, [(0.0, "white_board_3_orange"), (1.0, "diamond_3_orange"), (2.0, "a<b>")])
    [[first, second, third]] = axis._tickLevels
    assert first == (0.0, "white_boa…3_orange")
    assert second == (1.0, "diamond_3_orange")
    assert third == (2.0, "a<b>")
