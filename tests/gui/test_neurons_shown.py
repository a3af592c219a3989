"""Neurons in the window: selected, exported, looked at, cut."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
import pytest
from driving import audit_of, do, find, wait, wait_well, workspace
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from bdshift.audit.gallery import CLEAN
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import Selection
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.views.agreement import AgreementView
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.views.neuron_table import NeuronTableView
from bdshift_gui.views.scatter import ScatterView
from bdshift_gui.widgets.heat import heated


def selected(window: MainWindow) -> Selection:
    return window.session.state.selection


def neuron_place(window: MainWindow, neuron: int) -> QPoint:
    x, y = float(find(window, ScatterView)._x[neuron]), float(find(window, ScatterView)._y[neuron])
    return find(window, ScatterView).view.mapFromScene(
        find(window, ScatterView).plot.vb.mapViewToScene(QPointF(x, y))
    )


def test_clicks_on_neurons(opened: MainWindow, qtbot: QtBot) -> None:
    view = find(opened, ScatterView).view.viewport()
    qtbot.wait(50)
    order = np.argsort(-find(opened, ScatterView)._x).tolist()
    first, second = order[0], order[3]
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=neuron_place(opened, first))
    assert selected(opened).neurons == {first}
    assert selected(opened).primary == first
    assert find(opened, InspectorView).title.text() == f"Neuron {first}"
    QTest.qWait(600)  # two clicks in a row would be a double click
    keys = Qt.KeyboardModifier.ShiftModifier
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, keys, neuron_place(opened, second))
    assert selected(opened).neurons == {first, second}
    assert opened.session.state.cut is not None
    assert opened.session.state.cut.outcome.neurons == tuple(sorted((first, second)))
    opened.actions_["undo"].trigger()
    assert selected(opened).neurons == {first}
    opened.actions_["redo"].trigger()
    assert selected(opened).neurons == {first, second}
    opened.actions_["next"].trigger()
    assert selected(opened).primary == first
    QTest.qWait(600)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=neuron_place(opened, first))  # no Shift
    assert selected(opened).neurons == {first}


def test_the_table_and_the_scatter_select_the_same(opened: MainWindow, qtbot: QtBot) -> None:
    workspace(opened).docks["table"].show()
    qtbot.wait(20)
    find(opened, NeuronTableView).view.selectRow(0)
    strongest = int(audit_of(opened).shifts.shift[9].argmax())
    assert selected(opened).neurons == {strongest}
    opened.context.selection.select_neurons([1, 2, 3])
    rows = {
        index.row() for index in find(opened, NeuronTableView).view.selectionModel().selectedRows()
    }
    assert {int(find(opened, NeuronTableView).rows.order[row]) for row in rows} == {1, 2, 3}


def test_a_cut_is_computed_once_a_selection(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bdshift.neurons.what_if as what_if

    made: list[object] = []
    cut = what_if.cut

    def noted(*given: Any) -> what_if.CutOutcome:
        made.append(given)
        return cut(*given)

    monkeypatch.setattr(what_if, "cut", noted)
    for count in range(1, 5):
        opened.context.selection.select_neurons(range(count))
        opened.context.selection.apply(selected(opened))
    assert len(made) == 4


def test_the_selected_neurons_are_exported(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("n.csv", "n.json"):
        monkeypatch.setattr(opened.context.ask, "where", lambda *_, name=name: tmp_path / name)
        do(opened, "export_neurons")
        wait_well(qtbot, opened)
    rows = list(csv.reader((tmp_path / "n.csv").read_text().splitlines()))
    assert rows[0] == ["neuron", "shift", "tac", "signed"]
    assert len(rows) == 1 + len(selected(opened).neurons)
    found = json.loads((tmp_path / "n.json").read_text())
    assert (found["class"], len(found["neurons"])) == (9, len(rows) - 1)


def test_overlap_and_the_top_k(opened: MainWindow) -> None:
    workspace(opened).docks[AgreementView.key].show()
    view = find(opened, AgreementView)
    assert view.count.value() == 6
    assert "of the top 6 by shift are also in the top 6 by TAC" in view.title.text()
    view.count.setValue(5)
    view.select.click()
    shift = audit_of(opened).shifts.shift[9]
    assert selected(opened).neurons == set(np.argsort(-shift)[:5].tolist())
    rows = list(csv.reader(io.StringIO(view.csv())))
    assert rows[0] == ["K", "shift", "w − μ"]
    assert rows[-1] == ["64", "1.0", "1.0"]
    opened.context.selection.select_class(2)
    assert "needs TAC" in view.title.text()


def test_axes_show_plain_numbers(opened: MainWindow, qtbot: QtBot) -> None:
    """Pyqtgraph would multiply small values by a thousand."""
    find(opened, ScatterView).axis.choose("activation")
    find(opened, ScatterView).axis.chosen.emit("activation")
    find(opened, ScatterView).plot.autoRange()
    qtbot.wait(50)
    axis = find(opened, ScatterView).plot.getAxis("bottom")
    assert axis.autoSIPrefixScale == 1.0
    assert max(abs(v) for v in axis.range) < 5


def test_where_a_neuron_looks(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "select_half")
    inspector = find(opened, InspectorView)
    before = inspector._triggered.grab().toImage()
    inspector._look.click()
    assert opened.session.state.busy
    wait_well(qtbot, opened)
    maps = opened.session.state.maps
    assert {one.neurons for one in maps} == {(selected(opened).primary,)}
    clean, triggered = maps
    assert clean.values.shape == (12, 4, 4)
    tac = opened.session.state.tac
    assert tac is not None
    assert (clean.which, triggered.which) == ((CLEAN, -1), (tac.trigger, tac.target))
    assert inspector._triggered.grab().toImage() != before
    assert inspector._look.text() == "plain images"
    inspector._look.click()
    assert not opened.session.state.busy
    assert inspector._triggered.grab().toImage() == before
    inspector._look.click()
    assert not opened.session.state.busy, "the maps are still there"
    assert inspector._triggered.grab().toImage() != before
    do(opened, "next")
    assert inspector._look.text() == "where it looks"


def test_all_selected_neurons_together(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "select_half")
    inspector = find(opened, InspectorView)
    count = len(selected(opened).neurons)
    inspector.scope._buttons["all"].click()
    assert inspector.title.text() == f"{count} neurons together"
    audit = audit_of(opened)
    assert audit.embedding is not None
    mean = audit.embedding.phi[:, sorted(selected(opened).neurons)].mean()
    assert inspector.activations._words.text() == f"φ {mean:.3g}"
    inspector.activations.by._buttons["class"].click()
    ticks = inspector.activations.view.getPlotItem().getAxis("left")._tickLevels
    assert [name for _, name in ticks[0]] == list(audit.images.class_names)
    inspector._look.click()
    wait(qtbot, opened)
    assert opened.session.state.maps[0].neurons == tuple(sorted(selected(opened).neurons))


def test_a_cut_that_only_hides_the_backdoor_says_so(opened: MainWindow) -> None:
    do(opened, "select_half")
    cut = opened.session.state.cut
    assert cut is not None
    assert cut.outcome.asr is not None
    assert cut.outcome.asr > 0.9
    assert 9 not in cut.judgment.flagged
    finding = find(opened, InspectorView)._cut_finding
    assert finding.text() == "The trigger still works: this cut only hides it from the scan."
    opened.context.selection.select_neurons(range(50))
    assert opened.session.state.cut is not None
    assert opened.session.state.cut.outcome.asr is not None
    stays = opened.session.state.cut.outcome.asr > 0.8
    assert ("still works" in finding.text()) is stays


def test_a_cut_says_nothing_of_a_trigger_that_does_not_work(opened: MainWindow) -> None:
    audit = audit_of(opened)
    show_audit(opened.context, replace(audit, tac=(replace(audit.tac[0], asr=0.0),)))
    cut = opened.session.state.cut
    assert cut is not None
    assert cut.outcome.asr is not None
    assert find(opened, InspectorView)._cut_finding.text() == ""


def test_one_neuron_accounts_for_its_share(opened: MainWindow) -> None:
    title = find(opened, ScatterView).title
    opened.context.selection.select_neurons([3])
    assert title.text().startswith("1 of 64 neurons accounts for ")
    opened.context.selection.select_neurons([3, 4])
    assert title.text().startswith("2 of 64 neurons account for ")


def test_the_strongest_triggered_images_are_of_other_classes(opened: MainWindow) -> None:
    caption = find(opened, InspectorView)._triggered.toolTip()
    assert caption.startswith("Strongest triggered images of other classes: ")
    assert "speed_80" not in caption


@pytest.mark.parametrize("shade", [0, 40, 200])
def test_heat_is_seen_on_dark_images_too(shade: int) -> None:
    images = np.full((1, 3, 8, 8), shade, np.uint8)
    maps = np.zeros((1, 2, 2), np.float32)
    maps[0, 0, 1], maps[0, 1, 0] = 3, 1.5
    found = heated(images, maps)
    assert (found[0, :, :4, :4] == shade).all(), "nothing there, nothing over it"
    most, half = found[0, :, 0, 7], found[0, :, 7, 0]
    assert abs(most.astype(int) - shade).max() > 40
    assert abs(half.astype(int) - shade).max() > 30
    assert most.sum() > half.sum(), "lighter is stronger"
    assert (heated(images, maps, 0.0) == images).all()


def test_the_colors_are_those_of_inferno() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None, None]
    found = heated(np.zeros((1, 3, 256, 256), np.uint8), ramp, 1.0)[0, :, 0].T
    colors = pg.colormap.get("inferno").getLookupTable(nPts=256)
    known = (np.sqrt(ramp[0].T) * colors).round()
    assert abs(found - known).max() < 16, "a line between nine of its colors"


def test_maps_of_another_trigger_are_not_kept(opened: MainWindow, qtbot: QtBot) -> None:
    find(opened, InspectorView)._look.click()
    wait(qtbot, opened)
    assert opened.session.state.maps
    opened.context.selection.select_class(2)
    assert opened.session.state.maps == ()


def test_the_next_neuron_is_that_of_the_next_smaller_shift(opened: MainWindow) -> None:
    shift = audit_of(opened).shifts.shift[selected(opened).class_index]
    strongest = np.argsort(-shift)[:4].tolist()
    opened.context.selection.select_neurons(strongest, primary=strongest[0])
    view = find(opened, InspectorView)
    for place, neuron in enumerate(strongest, 1):
        assert view._place.text() == f"{place}/4"
        assert f"shift {place}" in view._about.text()
        assert selected(opened).primary == neuron
        do(opened, "next")
    assert selected(opened).primary == strongest[0]
