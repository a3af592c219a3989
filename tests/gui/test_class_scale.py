"""The scores of classes as distances from their median, and a class found by its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyqtgraph as pg
import pytest
from driving import audit_of, find
from known import TARGET
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from bdshift.detect.rule import z_scores
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.classes import ClassView, _short
from bdshift_gui.widgets.class_scale import scale_of
from bdshift_gui.widgets.class_search import ClassSearch


def test_distances_from_the_median(opened: MainWindow) -> None:
    judged = audit_of(opened).judged[0]
    scores, scale = judged.evidence.scores, scale_of(judged, "median")
    middle = np.median(scores)
    assert np.allclose(scale.values, 100 * (1 - scores / middle))
    assert scale.line == pytest.approx(100 * (1 - judged.judgment.line / middle))
    assert (scale.dots, scale.suspicious_above) == (True, True)
    passed = scale.values > scale.line
    assert np.flatnonzero(passed).tolist() == list(judged.judgment.suspected)
    plain = scale_of(judged, "score")
    assert np.array_equal(plain.values, scores)
    assert (plain.dots, plain.suspicious_above) == (False, False)
    assert np.allclose(scale_of(judged, "z").values, z_scores(scores))


def test_no_class_has_a_distance_from_nothing(opened: MainWindow) -> None:
    judged = audit_of(opened).judged[0]
    nothing = replace(judged, evidence=replace(judged.evidence, scores=np.zeros(12)))
    assert np.isnan(scale_of(nothing, "median").values).all()
    never = replace(judged, evidence=replace(judged.evidence, scores=np.full(12, np.inf)))
    for how in ("median", "z", "score"):
        assert not np.isfinite(scale_of(never, how).values).any()


def test_they_are_dots_over_the_band_in_which_a_class_is_flagged(opened: MainWindow) -> None:
    view = find(opened, ClassView)
    view.show_as._buttons["median"].click()
    items = view.plot.items
    dots = [one for one in items if isinstance(one, pg.ScatterPlotItem)]
    drawn = np.concatenate([one.getData()[1] for one in dots])
    scale = scale_of(view._judged, "median")
    assert sorted(drawn) == pytest.approx(sorted(scale.values))
    [band] = [one for one in items if isinstance(one, pg.LinearRegionItem)]
    assert band.getRegion()[0] == pytest.approx(scale.line)
    low, high = view.plot.vb.viewRange()[1]
    assert low <= scale.values.min()
    assert high >= max(scale.values.max(), scale.line)
    view.sort._buttons["value"].click()
    assert view._order[0] == TARGET, "the smallest score, which is the farthest below"


def test_names_under_the_bars_are_as_the_folders_are_called(qapp: QApplication) -> None:
    assert _short("keep_left", 500) == "keep_left"
    assert _short("keep_left", 40) == "keep\n_left"
    assert _short("no_right_turn", 48).startswith("no\n_right")
    assert _short("traffic light", 45) == "traffic\nlight"


def test_a_class_is_found_by_its_name(qtbot: QtBot) -> None:
    search = ClassSearch()
    found: list[int] = []
    qtbot.addWidget(search)
    search.found.connect(found.append)
    search.show_names([f"class {i}" for i in range(200)])
    for text in ("class 17", "CLASS 171", "nobody", "ss 4"):
        search.setText(text)
        QTest.keyClick(search, Qt.Key.Key_Return)
    assert found == [17, 171, 4]


def test_the_search_is_there_for_many_classes_only(opened: MainWindow) -> None:
    view = find(opened, ClassView)
    assert not view.search.isVisible()
