"""More classes than bars can show: dots in the order of their scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyqtgraph as pg
import pytest
from driving import audit_of, do, find
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import WITHOUT_AUDIT
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.views.classes import ClassView
from bdshift_gui.widgets.class_strip import MAX_BARS


def drawn(window: MainWindow, count: int) -> ClassView:
    """The window's audit as if of ``count`` classes: one far below the others, the rest random."""
    audit, rng = audit_of(window), np.random.default_rng(0)
    norms = rng.uniform(8.5, 9.5, count)
    norms[count // 3] = 4.0
    rows = rng.integers(0, len(audit.shifts.l2), count)
    was = audit.shifts
    shifts = replace(
        was, l2=norms, shift=was.shift[rows], loss=was.loss[rows], lower=norms.copy(),
        kkt=was.kkt[rows], multiplier=was.multiplier[rows], status=was.status[:1] * count,
    )  # fmt: skip
    names = tuple(f"class {i}" for i in range(count))
    wide = replace(
        audit, tac=(), embedding=None, recoveries=(),
        evidence=(replace(audit.evidence[0], scores=norms, record=shifts),),
        model=replace(audit.model, weight=audit.model.weight[rows], bias=audit.model.bias[rows]),
        images=replace(audit.images, class_names=names, counts=(99,) * count),
    )  # fmt: skip
    show_audit(window.context, wide)
    window.resize(1280, 800)
    QApplication.processEvents()
    return find(window, ClassView)


def at(view: ClassView, place: int) -> QPoint:
    """Where a dot is, in pixels of the plot."""
    dot = QPointF(float(place), float(view.strip._values[place]))
    found: QPoint = view.view.mapFromScene(view.plot.vb.mapViewToScene(dot))
    return found


def has_bars(view: ClassView) -> bool:
    return any(isinstance(one, pg.BarGraphItem) for one in view.plot.items)


@pytest.mark.parametrize("count", [MAX_BARS, MAX_BARS + 1])
def test_bars_end_where_dots_begin(opened: MainWindow, count: int) -> None:
    view = drawn(opened, count)
    many = count > MAX_BARS
    assert has_bars(view) is not many
    assert (len(view.strip._values) == count) is many
    assert view.sort.isVisible() is not many, "dots are always in the order of their scores"
    assert view.search.isVisible()


@pytest.mark.parametrize("count", [100, 1000])
def test_each_dot_can_be_clicked_and_read(opened: MainWindow, count: int) -> None:
    view = drawn(opened, count)
    scores = audit_of(opened).judged[0].evidence.scores
    assert np.array_equal(view.strip._values, np.sort(scores))
    for place in (0, 1, count // 2, count - 1):
        index = int(view._order[place])
        QTest.mouseClick(view.view.viewport(), Qt.MouseButton.LeftButton, pos=at(view, place))
        picked = opened.session.state.selection.class_index
        assert picked is not None
        assert abs(view._order.tolist().index(picked) - place) <= count // 150, "dots may touch"
        view._moved(view.view.mapToScene(at(view, place)))
        assert f"class {index}" in view.view.toolTip() or count > 500
        assert "L2" in view.view.toolTip()
    view._moved(QPointF(view.plot.vb.sceneBoundingRect().center().x(), 0.0))
    assert view.view.toolTip() == ""


def test_what_is_suspected_or_selected_is_named(opened: MainWindow) -> None:
    view = drawn(opened, 1000)
    assert audit_of(opened).finding.suspected == (333,)
    opened.context.selection.select_class(700)
    place = view._order.tolist().index(700)
    assert set(view.strip.names.shown) == {0, place}
    assert view.strip._flagged.getData()[1].tolist() == [4.0]
    assert view.strip._picked.getData()[0].tolist() == [place]
    view.search.setText("class 17")
    QTest.keyClick(view.search, Qt.Key.Key_Return)
    assert opened.session.state.selection.class_index == 17
    do(opened, "next_class")
    place = view._order.tolist().index(18)
    assert view.strip._picked.getData()[0].tolist() == [place]


@pytest.mark.parametrize("how", ["score", "median", "z"])
def test_the_band_is_where_a_class_is_flagged(opened: MainWindow, how: str) -> None:
    view = drawn(opened, 200)
    view.show_as._buttons[how].click()
    [band] = [one for one in view.plot.items if isinstance(one, pg.LinearRegionItem)]
    low, high = band.getRegion()
    held = np.flatnonzero((view.strip._values > low) & (view.strip._values < high))
    assert [int(view._order[i]) for i in held] == list(audit_of(opened).finding.suspected)
    bottom, top = view.plot.vb.viewRange()[1]
    assert bottom < view.strip._values.min() <= view.strip._values.max() < top
    assert low < bottom or high > top, "it reaches the edge"


def test_without_an_audit_there_is_nothing_to_hit(opened: MainWindow) -> None:
    view = drawn(opened, 200)
    opened.session.update(**WITHOUT_AUDIT)
    opened.resize(1000, 700)
    QApplication.processEvents()
    view._moved(QPointF(view.plot.vb.sceneBoundingRect().center()))
    assert view.view.toolTip() == ""


def test_bars_come_back(opened: MainWindow) -> None:
    few = audit_of(opened)
    view = drawn(opened, 200)
    show_audit(opened.context, few)
    assert has_bars(view)
    assert not len(view.strip._values)
    assert not view.strip.names.shown
    assert view.strip._dots.getData()[0].size == 0
    assert view.sort.isVisible()
