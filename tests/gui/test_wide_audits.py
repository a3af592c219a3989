"""With 50 000 neurons, a click does no more work than it must; timings: tools/window_speed.py."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest
from driving import audit_of, find, workspace
from known import TARGET
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPolygonF

from bdshift.neurons.rankings import agreement, data_free_direction
from bdshift.text import figure
from bdshift_gui.main_window import MainWindow
from bdshift_gui.numbers import percent
from bdshift_gui.session import State
from bdshift_gui.views.agreement import AgreementView
from bdshift_gui.views.neuron_table import NeuronTableView
from bdshift_gui.widgets.alike_points import AlikePoints
from bdshift_gui.widgets.axis_words import how_they_agree
from bdshift_gui.widgets.lasso_box import within
from bdshift_gui.widgets.table_rows import runs


@pytest.mark.parametrize("kind", [NeuronTableView, AgreementView])
def test_a_view_that_nobody_sees_is_rendered_when_it_is_looked_at(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch, kind: type[NeuronTableView]
) -> None:
    rendered: list[int | None] = []
    view, dock = find(opened, kind), workspace(opened).docks[kind.key]
    inner = view.show_state

    def counted(state: State) -> None:
        rendered.append(state.selection.class_index)
        inner(state)

    monkeypatch.setattr(view, "show_state", counted)
    select = opened.context.selection
    for index in (1, 2, 3):
        select.select_class(index)
        select.select_neurons([index, index + 1])
    assert rendered == [], "its panel is closed"
    dock.show()
    dock.raise_()
    assert rendered == [3], "once, with what is selected by now"
    select.select_class(4)
    assert rendered[-1] == 4, "while it is open, at once"
    told = len(rendered)
    dock.hide()
    select.select_class(5)
    assert len(rendered) == told
    dock.show()
    assert rendered[told:] == [5]
    dock.hide()
    dock.show()
    assert len(rendered) == told + 1, "nothing has changed in between"


def test_behind_another_tab_it_waits_too(opened: MainWindow) -> None:
    docks, select = workspace(opened).docks, opened.context.selection
    table = find(opened, NeuronTableView)
    docks["table"].show()
    docks[AgreementView.key].show()
    docks[AgreementView.key].raise_()
    before = table._shown
    select.select_class(7)
    assert table._shown is before
    docks["table"].raise_()
    assert table._shown is not before
    shift = table.rows.columns[1].values
    assert shift is not None
    assert np.array_equal(shift, audit_of(opened).shifts.shift[7])


def test_rows_that_follow_each_other_are_selected_together() -> None:
    assert runs(np.array([], np.int64)) == []
    assert runs(np.array([4])) == [(4, 4)]
    assert runs(np.array([0, 1, 2, 5, 7, 8])) == [(0, 2), (5, 5), (7, 8)]


def test_the_look_of_alike_points_is_decided_once(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    plain = pg.ScatterPlotItem.updateSpots

    def counted(item: pg.ScatterPlotItem, points: np.ndarray | None = None) -> None:
        asked.append(len(item.data if points is None else points))
        plain(item, points)

    monkeypatch.setattr(pg.ScatterPlotItem, "updateSpots", counted)
    points = AlikePoints(pxMode=True)
    x = np.arange(50_000.0)
    for brush in ("r", "b"):
        points.setData(x, -x, size=4, brush=brush, pen=None)
    assert max(asked) == 1
    usual = pg.ScatterPlotItem(pxMode=True)
    usual.setData(x[:3], -x[:3], size=4, brush="b", pen=None)
    assert len(np.unique(points.data["sourceRect"])) == 1
    for side in "wh":
        assert (points.data["sourceRect"][side] == usual.data["sourceRect"][side][0]).all()
    assert np.array_equal(points.getData()[0], x)
    points.setData([], [])
    assert len(points.data) == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_lasso_holds_exactly_what_qt_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = QPolygonF([QPointF(*corner) for corner in rng.normal(size=(25, 2))])  # crosses itself
    x, y = rng.normal(size=(2, 3000))
    rule = Qt.FillRule.OddEvenFill
    asked = zip(x.tolist(), y.tolist(), strict=True)
    expected = [shape.containsPoint(QPointF(*one), rule) for one in asked]
    assert 0 < sum(expected) < len(x)
    assert within(shape, x, y).tolist() == expected


def test_what_is_kept_of_the_head_gives_the_same_numbers(opened: MainWindow) -> None:
    audit = audit_of(opened)
    for index in range(audit.model.classes):
        expected = data_free_direction(audit.model.weight, index)
        assert np.array_equal(audit.model.data_free(index), expected)


def test_the_words_below_the_plot_are_those_of_the_whole_comparison(opened: MainWindow) -> None:
    audit, tac = audit_of(opened), opened.session.state.tac
    assert tac is not None
    shift, free = audit.shifts.shift[TARGET], audit.model.data_free(TARGET)
    said = how_they_agree(shift, shift, free, "tac", tac.change, "")
    for values in (shift, free):
        whole = agreement(values, tac.change)
        assert figure(whole.cosine, ".2f") in said
        assert percent(whole.overlap_at(0.1), 0) in said
