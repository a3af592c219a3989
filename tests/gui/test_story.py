"""The user's way through the window, by mouse and keyboard."""

from __future__ import annotations

import csv
import dataclasses
import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from waiting import wait

from bdshift.jobs import JobContext
from bdshift.shift.verdict import judge
from bdshift_gui.dialogs.export import write_selection
from bdshift_gui.dialogs.pages import RankingPage
from bdshift_gui.dialogs.palette import Palette
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.jobs.events import Stopped
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.inspector import heated


def test_the_first_thing_to_see(window: MainWindow) -> None:
    assert window.pages.currentIndex() == 0
    assert window.welcome.isVisible()
    assert not window.work.docks["audit"].isVisible()
    assert not window.actions_["scan"].isEnabled()
    assert window.actions_["open_model"].isEnabled()


def test_drop_a_model_and_a_folder_then_scan(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(victim)), QUrl.fromLocalFile(str(signs))])
    event = QDropEvent(
        QPointF(300, 300), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    window.dropEvent(event)
    qtbot.waitUntil(lambda: window.session.state.can_scan, timeout=60_000)
    assert window.work.model_card.isVisible()
    assert window.session.state.model is not None
    assert window.session.state.model["architectures"][0].startswith("ResNet-18, width 16")
    wait(qtbot, window)
    window.auditor.correct(sample=120)
    window.actions_["scan"].trigger()
    assert window.jobs.busy
    assert not window.actions_["open_model"].isEnabled()
    wait(qtbot, window)
    assert not window.error.isVisible()
    assert window.work.verdict.title.text() == "Probably backdoored"
    assert window.work.classes.title.text().startswith("“speed_80” needs ")
    assert window.selection.now.class_index == 9


def test_an_audit_opens_without_model_or_images(opened: MainWindow) -> None:
    assert opened.pages.currentIndex() == 1
    assert opened.work.verdict.isVisible()
    assert opened.work.verdict.objectName() == "poisoned"
    assert opened.work.inspector.isVisible()
    assert opened.selection.now.neurons
    assert opened.session.state.cut is not None
    assert opened.session.state.tac is not None
    assert opened.work.scatter.axis.now == "tac"


def test_choosing_a_class_moves_everything(opened: MainWindow, qtbot: QtBot) -> None:
    box = opened.work.classes.plot.vb
    place = opened.work.classes.view.mapFromScene(box.mapViewToScene(QPointF(3.0, 1.0)))
    QTest.mouseClick(opened.work.classes.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: opened.selection.now.class_index == 3, timeout=2000)
    assert opened.session.state.tac is None  # measured for class 9
    assert opened.work.scatter.axis.now == "activation"
    assert "keep_right" in opened.work.scatter.plot.getAxis("left").labelText


def neuron_place(window: MainWindow, neuron: int) -> QPoint:
    x, y = float(window.work.scatter._x[neuron]), float(window.work.scatter._y[neuron])
    return window.work.scatter.view.mapFromScene(
        window.work.scatter.plot.vb.mapViewToScene(QPointF(x, y))
    )


def test_clicks_on_neurons(opened: MainWindow, qtbot: QtBot) -> None:
    view = opened.work.scatter.view.viewport()
    qtbot.wait(50)
    order = np.argsort(-opened.work.scatter._x).tolist()
    first, second = order[0], order[3]
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=neuron_place(opened, first))
    assert opened.selection.now.neurons == {first}
    assert opened.selection.now.primary == first
    assert opened.work.inspector.title.text() == f"Neuron {first}"
    QTest.qWait(600)  # two clicks in a row would be a double click
    keys = Qt.KeyboardModifier.ShiftModifier
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, keys, neuron_place(opened, second))
    assert opened.selection.now.neurons == {first, second}
    assert opened.session.state.cut is not None
    assert opened.session.state.cut.cut.neurons == tuple(sorted((first, second)))
    opened.actions_["undo"].trigger()
    assert opened.selection.now.neurons == {first}
    opened.actions_["redo"].trigger()
    assert opened.selection.now.neurons == {first, second}
    opened.actions_["next"].trigger()
    assert opened.selection.now.primary == first
    QTest.qWait(600)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=neuron_place(opened, first))  # no Shift
    assert opened.selection.now.neurons == {first}


def test_the_table_is_the_scatters_twin(opened: MainWindow, qtbot: QtBot) -> None:
    opened.work.docks["table"].show()
    qtbot.wait(20)
    opened.work.table.selectRow(0)
    strongest = int(opened.session.state.shifts.shift[9].argmax())  # type: ignore[union-attr]
    assert opened.selection.now.neurons == {strongest}
    opened.selection.select_neurons([1, 2, 3])
    rows = {index.row() for index in opened.work.table.selectionModel().selectedRows()}
    assert {int(opened.work.table._model.order[row]) for row in rows} == {1, 2, 3}


def test_alpha_beta_and_the_rule_are_live(opened: MainWindow) -> None:
    before = opened.session.state.shifts
    opened.alpha.slider.setValue(20)
    after = opened.session.state
    assert before is not None
    assert after.shifts is not None
    assert after.alpha < 0.1
    assert (after.shifts.l2 > before.l2).all()
    assert not opened.beta.isEnabled(), "a touch of β must not change who decides"
    opened.work.verdict._rule._buttons["paper"].click()
    assert opened.beta.isEnabled()
    opened.beta.slider.setValue(190)
    assert opened.session.state.verdict is not None
    assert opened.session.state.verdict.rule == "paper"
    assert not opened.session.state.verdict.suspicious
    assert opened.work.verdict.title.text() == "Nothing unusual found"
    opened.auditor.set_rule("grubbs")
    assert opened.session.state.verdict.suspicious


def test_a_cut_answers_in_time(opened: MainWindow) -> None:
    spent = []
    for neuron in range(8):
        started = time.perf_counter()
        opened.auditor._selection.apply(opened.selection.now)
        opened.selection.select_neurons(range(neuron + 1))
        spent.append(time.perf_counter() - started)
    assert np.median(spent) < 0.5  # the views with it; alone it takes some 30 ms


def test_every_plot_can_be_exported(opened: MainWindow, tmp_path: Path) -> None:
    for plot in (opened.work.classes, opened.work.scatter):
        for suffix in ("png", "svg", "csv"):
            plot.save(tmp_path / f"plot.{suffix}")
        assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (tmp_path / "plot.svg").read_bytes()
        rows = list(csv.reader(io.StringIO((tmp_path / "plot.csv").read_text())))
        assert len(rows) == 1 + (12 if plot is opened.work.classes else 128)
    write_selection(tmp_path / "n.csv", opened.session.state, opened.selection.now)
    rows = list(csv.reader((tmp_path / "n.csv").read_text().splitlines()))
    assert rows[0] == ["neuron", "shift", "tac", "signed"]
    assert len(rows) == 1 + len(opened.selection.now.neurons)


def test_errors_are_said_in_place(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    bad = tmp_path / "model.pth"
    bad.write_bytes(b"<!doctype html>")
    window.commands.open(bad)
    wait(qtbot, window)
    assert window.error.isVisible()
    assert "is a web page" in window.error._text.text()
    assert window.session.state.model is None
    window.commands.open(tmp_path / "none.h5")
    wait(qtbot, window)
    assert "none.h5" in window.error._text.text()


def test_cancel_is_prompt(window: MainWindow, qtbot: QtBot) -> None:
    running = threading.Event()

    def run(job: JobContext) -> None:
        for step in range(10_000):
            running.set()
            job.progress("Counting", step, 10_000, "steps")
            time.sleep(0.01)

    ends: list[object] = []
    window.jobs.ended.connect(ends.append)
    window.jobs.start("Counting", run, lambda _: None)
    qtbot.waitUntil(running.is_set, timeout=5000)
    started = time.perf_counter()
    window.actions_["cancel"].trigger()
    wait(qtbot, window)
    assert time.perf_counter() - started < 0.5
    assert isinstance(ends[0], Stopped)


def test_closing_while_a_job_runs(window: MainWindow, qtbot: QtBot) -> None:
    def run(job: JobContext) -> None:
        while True:
            job.raise_if_canceled()
            time.sleep(0.01)

    window.jobs.start("Waiting", run, lambda _: None)
    qtbot.wait(50)
    assert window.close()


def test_the_palette_finds_by_letters(opened: MainWindow, qtbot: QtBot) -> None:
    palette = Palette(opened.actions_, opened)
    palette.show()
    QTest.keyClicks(palette.field, "no neuron")
    assert palette.list.count() == 1
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert opened.selection.now.neurons == frozenset()
    assert opened.work.inspector.title.text() == "No neuron selected"


def test_the_trigger_dialog_shows_what_it_would_do(opened: MainWindow, qtbot: QtBot) -> None:
    dialog = TriggerDialog(opened.session.state, opened)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.spec.text().startswith("badnets:size=4")
    asked: list[str] = []
    dialog.chosen.connect(asked.append)
    dialog.spec.setText("badnets:size=0")
    assert not dialog.measure.isEnabled()
    dialog.spec.setText("badnets:size=5")
    assert dialog.measure.isEnabled()
    dialog.measure.click()
    assert asked == ["badnets:size=5"]


def test_a_wrong_preprocessing_can_be_corrected(opened: MainWindow, qtbot: QtBot) -> None:
    audit = opened.session.state.audit
    assert audit is not None
    page = RankingPage(audit, opened)
    qtbot.addWidget(page)
    assert page.table.rowCount() == len(audit.trials)
    assert page.table.item(0, 0).text() == "half, RGB, 32 px"
    asked: list[str] = []
    page.chosen.connect(asked.append)
    row = next(
        r for r, t in enumerate(audit.trials) if t.preprocessing.normalization.name == "none"
    )
    page.table.selectRow(row)
    page.use.click()
    assert asked == ["none"]


def test_overlap_and_the_top_k(opened: MainWindow) -> None:
    view = opened.work.agreement
    assert view.count.value() == 13
    assert view.title.text().startswith("Of the top 13 by shift, ")
    view.count.setValue(5)
    view.select.click()
    shifts = opened.session.state.shifts
    assert shifts is not None
    assert opened.selection.now.neurons == set(np.argsort(-shifts.shift[9])[:5].tolist())
    rows = list(csv.reader(io.StringIO(view.csv())))
    assert rows[0] == ["K", "shift", "w − w̄"]
    assert rows[-1] == ["128", "1.0", "1.0"]
    opened.selection.select_class(2)
    assert "needs TAC" in view.title.text()


def test_another_audit_with_fewer_classes(opened: MainWindow) -> None:
    audit = opened.session.state.audit
    assert audit is not None
    opened.selection.select_class(11)
    few = 5
    shifts = dataclasses.replace(
        audit.shifts,
        **{name: getattr(audit.shifts, name)[:few].copy()
           for name in ("shift", "l2", "loss", "lower", "kkt", "multiplier")},
        status=audit.shifts.status[:few],
    )  # fmt: skip
    names = audit.images.class_names[:few]
    smaller = dataclasses.replace(
        audit, shifts=shifts, tac=(), embedding=None, verdict=judge(shifts.l2, names),
        model=dataclasses.replace(
            audit.model, weight=audit.model.weight[:few], bias=audit.model.bias[:few]
        ),
        images=dataclasses.replace(audit.images, class_names=names, counts=(1,) * few),
    )  # fmt: skip
    opened.auditor.show_audit(smaller)
    assert opened.selection.now.class_index == int(shifts.l2.argmin())
    assert opened.work.classes.table.model().rowCount() == few
    assert opened.session.state.cut is None
    assert not opened.alpha.isEnabled()


def test_axes_show_plain_numbers(opened: MainWindow, qtbot: QtBot) -> None:
    """Pyqtgraph would multiply small values by a thousand."""
    opened.work.scatter.axis.choose("activation")
    opened.work.scatter.axis.chosen.emit("activation")
    opened.work.scatter.plot.autoRange()
    qtbot.wait(50)
    axis = opened.work.scatter.plot.getAxis("bottom")
    assert axis.autoSIPrefixScale == 1.0
    assert max(abs(v) for v in axis.range) < 5


def test_where_a_neuron_looks(opened: MainWindow, qtbot: QtBot) -> None:
    opened.commands.do("select_half")
    inspector = opened.work.inspector
    before = inspector._triggered.grab().toImage()
    inspector._look.click()
    assert opened.jobs.busy
    wait(qtbot, opened)
    assert not opened.error.isVisible(), opened.error._text.text()
    maps = opened.session.state.maps
    assert maps is not None
    assert maps.neurons == (opened.selection.now.primary,)
    assert maps.clean.shape == (12, 4, 4)
    assert maps.triggered is not None
    assert inspector._triggered.grab().toImage() != before
    assert inspector._look.text() == "plain images"
    inspector._look.click()
    assert not opened.jobs.busy
    assert inspector._triggered.grab().toImage() == before
    inspector._look.click()
    assert not opened.jobs.busy, "the maps are still there"
    assert inspector._triggered.grab().toImage() != before
    opened.commands.do("next")
    assert inspector._look.text() == "where it looks"


def test_all_selected_neurons_together(opened: MainWindow, qtbot: QtBot) -> None:
    opened.commands.do("select_half")
    inspector = opened.work.inspector
    count = len(opened.selection.now.neurons)
    inspector.scope._buttons["all"].click()
    assert inspector.title.text() == f"{count} neurons together"
    audit = opened.session.state.audit
    assert audit is not None
    assert audit.embedding is not None
    mean = audit.embedding.phi[:, sorted(opened.selection.now.neurons)].mean()
    assert inspector.activations._words.text() == f"φ {mean:.3g}"
    inspector.activations.by._buttons["class"].click()
    ticks = inspector.activations.view.getPlotItem().getAxis("left")._tickLevels
    assert [name for _, name in ticks[0]] == list(audit.images.class_names)
    inspector._look.click()
    wait(qtbot, opened)
    assert opened.session.state.maps is not None
    assert opened.session.state.maps.neurons == tuple(sorted(opened.selection.now.neurons))


def test_a_cut_that_only_hides_the_backdoor_says_so(opened: MainWindow) -> None:
    opened.commands.do("select_half")
    cut = opened.session.state.cut
    assert cut is not None
    assert cut.cut.asr is not None
    assert cut.cut.asr > 0.9
    assert 9 not in cut.verdict.poisoned
    finding = opened.work.inspector._cut_finding
    assert finding.text() == "The backdoor stays: this cut only hides it from the scan."
    opened.selection.select_neurons(range(100))
    assert opened.session.state.cut is not None
    assert opened.session.state.cut.cut.asr is not None
    stays = opened.session.state.cut.cut.asr > 0.8
    assert ("stays" in finding.text()) is stays


def test_the_strongest_triggered_images_are_of_other_classes(opened: MainWindow) -> None:
    caption = opened.work.inspector._triggered.toolTip()
    assert caption.startswith("Strongest of other classes, triggered: ")
    assert "speed_80" not in caption


def test_heat_darkens_where_nothing_is() -> None:
    images = np.full((1, 3, 8, 8), 200, np.uint8)
    maps = np.zeros((1, 2, 2), np.float32)
    maps[0, 0, 1] = 3
    found = heated(images, maps)
    assert (found[0, :, :4, 4:] == 200).all()
    assert (found[0, :, 4:, :] == 50).all()


def test_a_bad_file_among_others_is_still_said(
    window: MainWindow, qtbot: QtBot, signs: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "model.pth"
    bad.write_bytes(b"<!doctype html>")
    window.commands.open_all([bad, signs])
    qtbot.waitUntil(lambda: window.session.state.images is not None, timeout=30_000)
    wait(qtbot, window)
    assert window.error.isVisible()
    assert "is a web page" in window.error._text.text()


def test_maps_of_another_trigger_are_not_kept(opened: MainWindow, qtbot: QtBot) -> None:
    opened.work.inspector._look.click()
    wait(qtbot, opened)
    assert opened.session.state.maps is not None
    opened.selection.select_class(2)
    assert opened.session.state.maps is None
