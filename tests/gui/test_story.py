"""A user's path through the window, by mouse and keyboard."""

from __future__ import annotations

import csv
import dataclasses
import io
import threading
from pathlib import Path

import pytest
from driving import audit_of, dialog, do, error_text, find, open_paths, wait, wait_well, workspace
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QSpinBox
from pytestqt.qtbot import QtBot

from bdshift.detect.rules.grubbs import Grubbs
from bdshift.detect.rules.paper import Paper
from bdshift.jobs import JobContext
from bdshift_gui.dialogs.pages import RankingPage
from bdshift_gui.dialogs.palette import Palette
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.jobs.events import Stopped
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import Selection
from bdshift_gui.tasks.showing import set_rule, show_audit
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.views.model_card import ModelCard
from bdshift_gui.views.scatter import ScatterView
from bdshift_gui.widgets.number_slider import NumberSlider


def selected(window: MainWindow) -> Selection:
    return window.session.state.selection


def test_the_first_thing_to_see(window: MainWindow) -> None:
    assert window.pages.currentWidget() is window.welcome
    assert not workspace(window).docks["audit"].isVisible()
    assert not window.actions_["scan"].isEnabled()
    assert window.actions_["open_model"].isEnabled()


def test_drop_a_model_and_a_folder_then_scan(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path
) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(victim)), QUrl.fromLocalFile(str(signs))])
    event = QDropEvent(
        QPointF(300, 300), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    window.dropEvent(event)
    qtbot.waitUntil(lambda: window.session.state.can_scan, timeout=60_000)
    assert find(window, ModelCard).isVisible()
    model = window.session.state.model
    assert model is not None
    assert model.description.recognized is not None
    assert model.description.recognized.architectures[0].startswith("ResNet-18, width 8")
    wait(qtbot, window)
    window.actions_["scan"].trigger()
    assert window.session.state.busy
    assert not window.actions_["open_model"].isEnabled()
    wait_well(qtbot, window)
    assert find(window, FindingView).title.text() == "Probably backdoored"
    assert find(window, ClassView).title.text().startswith("“speed_80” needs ")
    assert selected(window).class_index == 9


def test_an_audit_opens_without_model_or_images(opened: MainWindow) -> None:
    assert opened.pages.currentWidget() is workspace(opened).plots
    assert find(opened, FindingView).isVisible()
    assert find(opened, FindingView).objectName() == "poisoned"
    assert find(opened, InspectorView).isVisible()
    assert selected(opened).neurons
    assert opened.session.state.cut is not None
    assert opened.session.state.tac is not None
    assert find(opened, ScatterView).axis.now == "tac"


def test_choosing_a_class_moves_everything(opened: MainWindow, qtbot: QtBot) -> None:
    box = find(opened, ClassView).plot.vb
    place = find(opened, ClassView).view.mapFromScene(box.mapViewToScene(QPointF(3.0, 1.0)))
    QTest.mouseClick(find(opened, ClassView).view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: selected(opened).class_index == 3, timeout=2000)
    assert opened.session.state.tac is None  # measured for class 9
    assert find(opened, ScatterView).axis.now == "activation"
    assert "keep_right" in find(opened, ScatterView)._axes[1]


def move(slider: NumberSlider, step: int) -> None:
    slider.slider.setValue(step)


def test_alpha_the_rule_and_its_threshold_are_live(opened: MainWindow) -> None:
    before = audit_of(opened).shifts
    bar, view = opened.toolbar, find(opened, FindingView)
    move(bar.alpha, 20)
    after = opened.session.state
    assert after.alpha < 0.1
    assert (audit_of(opened).shifts.l2 > before.l2).all()
    assert bar.threshold._name == "Significance", "of the rule that decides"
    view.rule._buttons["paper"].click()
    assert isinstance(opened.session.state.rule, Paper)
    assert bar.threshold._name.startswith("Outlier threshold")
    move(bar.threshold, 190)
    assert audit_of(opened).settings.rule == opened.session.state.rule
    assert opened.session.state.rule.beta > 5
    assert audit_of(opened).judgment.flagged == ()
    assert view.title.text() == "Inconclusive", (
        "its trigger works, and the class does not stand out"
    )
    set_rule(opened.context, Grubbs())
    assert audit_of(opened).finding.level == "backdoored"
    assert view.title.text() == "Probably backdoored"


def test_every_plot_can_be_exported(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for plot in (find(opened, ClassView), find(opened, ScatterView)):
        assert plot.encoded(".png").startswith(b"\x89PNG")
        assert b"<svg" in plot.encoded(".svg")
        rows = list(csv.reader(io.StringIO(plot.encoded(".csv").decode())))
        assert len(rows) == 1 + (12 if isinstance(plot, ClassView) else 64)
    monkeypatch.setattr(opened.context.ask, "where", lambda *_: tmp_path / "plot.svg")
    find(opened, ScatterView)._ask()
    wait(qtbot, opened)
    assert b"<svg" in (tmp_path / "plot.svg").read_bytes()
    assert opened.session.state.written == tmp_path / "plot.svg"


def test_errors_are_said_in_place(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    bad = tmp_path / "model.pth"
    bad.write_bytes(b"<!doctype html>")
    open_paths(qtbot, window, bad)
    assert "is a web page" in error_text(window)
    assert window.session.state.model is None
    open_paths(qtbot, window, tmp_path / "none.h5")
    assert "none.h5" in error_text(window)


def test_cancel_is_prompt(window: MainWindow, qtbot: QtBot) -> None:
    running, wake = threading.Event(), threading.Event()
    counted: list[int] = []

    def run(job: JobContext) -> None:
        for step in range(10_000):
            running.set()
            counted.append(step)
            job.progress("Counting", step, 10_000, "steps")
            wake.wait(0.01)

    ends: list[object] = []
    window.jobs.ended.connect(ends.append)
    window.context.start("Counting", run, lambda _: None)
    qtbot.waitUntil(running.is_set, timeout=5000)
    window.actions_["cancel"].trigger()
    at = len(counted)
    wait(qtbot, window)
    assert len(counted) <= at + 2, "it stops at the next step"
    assert isinstance(ends[0], Stopped)


def test_closing_while_a_job_runs(window: MainWindow, qtbot: QtBot) -> None:
    def run(job: JobContext) -> None:
        while True:
            job.raise_if_canceled()
            wake.wait(0.01)

    wake = threading.Event()
    window.context.start("Waiting", run, lambda _: None)
    qtbot.wait(50)
    assert window.close()


def test_the_palette_finds_by_letters(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "palette")
    palette = dialog(qtbot, opened, Palette)
    QTest.keyClicks(palette.field, "clear sel")
    assert palette.list.count() == 1
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert selected(opened).neurons == frozenset()
    assert find(opened, InspectorView).title.text() == "No neuron selected"


def test_the_palette_says_what_cannot_be_done_now(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "palette")
    palette = dialog(qtbot, opened, Palette)
    items = [palette.list.item(at) for at in range(palette.list.count())]
    can = {bool(one.flags() & Qt.ItemFlag.ItemIsEnabled): one.foreground().color() for one in items}
    assert can[False] != can[True]
    palette.field.setText("zzz")
    assert palette.list.item(0).text() == "Nothing is called like this."
    QTest.keyClick(palette.field, Qt.Key.Key_Return)  # nothing happens
    assert palette.isVisible()


def test_the_trigger_dialog_shows_what_it_would_do(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    assert asked.settings.text().startswith("badnets:size=4"), "the one that was measured"
    given: list[str] = []
    asked.chosen.disconnect()
    asked.chosen.connect(given.append)
    size = asked.settings.fields["size"]
    assert isinstance(size, QSpinBox)
    size.setValue(0)
    assert size.value() == 1, "what cannot be cannot be entered"
    before = asked._after.grab().toImage()
    size.setValue(9)
    wait(qtbot, opened)
    assert asked._after.grab().toImage() != before
    assert asked.measure.isEnabled()
    asked.measure.click()
    assert given == ["badnets:size=9,color=ffd800,row=20,column=14"]


def test_a_wrong_preprocessing_can_be_corrected(opened: MainWindow, qtbot: QtBot) -> None:
    audit = audit_of(opened)
    page = RankingPage(audit, opened.context)
    qtbot.addWidget(page)
    assert page.table.rows.rowCount() == len(audit.trials)
    assert page.table.text(0, 0) == "half, RGB, 32 px"
    asked: list[str] = []
    page.chosen.connect(asked.append)
    row = next(
        r for r, t in enumerate(audit.trials) if t.preprocessing.normalization.name == "none"
    )
    page.table.view.selectRow(row)
    page.use.click()
    assert asked == ["none"]


def test_another_audit_with_fewer_classes(opened: MainWindow) -> None:
    audit = audit_of(opened)
    opened.context.selection.select_class(11)
    few = 5
    shifts = dataclasses.replace(
        audit.shifts,
        **{name: getattr(audit.shifts, name)[:few].copy()
           for name in ("shift", "l2", "loss", "lower", "kkt", "multiplier")},
        status=audit.shifts.status[:few],
    )  # fmt: skip
    names = audit.images.class_names[:few]
    smaller = dataclasses.replace(
        audit, tac=(), embedding=None,
        evidence=(dataclasses.replace(audit.evidence[0], scores=shifts.l2, record=shifts),),
        model=dataclasses.replace(
            audit.model, weight=audit.model.weight[:few], bias=audit.model.bias[:few]
        ),
        images=dataclasses.replace(audit.images, class_names=names, counts=(1,) * few),
    )  # fmt: skip
    show_audit(opened.context, smaller)
    assert selected(opened).class_index == int(shifts.l2.argmin())
    assert find(opened, ClassView).table.rows.rowCount() == few
    assert opened.session.state.cut is None
    assert not opened.toolbar.alpha.isEnabled()


def test_a_bad_file_among_others_is_still_said(
    window: MainWindow, qtbot: QtBot, signs: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "model.pth"
    bad.write_bytes(b"<!doctype html>")
    open_paths(qtbot, window, bad, signs)
    assert window.session.state.images is not None
    assert "is a web page" in error_text(window)
