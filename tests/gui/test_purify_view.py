"""From the verdict to a cleaned model in a file, in the window."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from bdshift.checkpoints.classifier import open_checkpoint
from bdshift_gui import commands as commands_module
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow

STICKER = "badnets:size=4,colour=ffd800,row=20,column=14"


def wait(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=120_000)


def ask(window: MainWindow) -> PurifyDialog:
    window.commands.do("purify")
    (dialog,) = window.findChildren(PurifyDialog)
    return dialog


def test_purify_compare_and_export(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert opened.work is not None
    dialog = ask(opened)
    assert dialog.target.currentText() == "speed_80"
    assert dialog.trigger.text() == STICKER
    dialog.spec.setText("shift-tuning:epochs=2")
    dialog.start.click()
    assert opened.work.docks["runs"].isVisible()
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 0, timeout=60_000)
    assert opened.work.runs.curves.title.text() == "Step 1 of 2"
    wait(qtbot, opened)
    assert not opened.error.isVisible(), opened.error._text.text()
    assert opened.session.state.steps == ()
    dialog = ask(opened)
    dialog.method.setCurrentIndex(dialog.method.findData("selected"))
    chosen = "+".join(map(str, sorted(opened.selection.now.neurons)))
    assert f"neurons={chosen}" in dialog.spec.text()
    dialog.start.click()
    wait(qtbot, opened)
    runs = opened.session.state.runs
    assert [run.run.method.partition(":")[0] for run in runs] == ["shift-tuning", "cut"]
    table = opened.work.runs.table
    assert table.rowCount() == 3
    assert table.item(0, 0).text() == "original"
    assert table.item(0, 2).text() == "100.0 %"
    assert opened.work.runs.selected is runs[1], "the newest is selected"
    table.selectRow(1)
    assert opened.work.runs.selected is runs[0]
    rows = opened.work.runs.curves.csv().splitlines()
    assert rows[0].startswith("step,loss,held_out_loss")
    assert len(rows) == 3

    monkeypatch.setattr(QInputDialog, "getItem", lambda *_: ("safetensors", True))
    out = tmp_path / "cleaned.safetensors"
    monkeypatch.setattr(commands_module, "ask_where", lambda *_: out)
    opened.commands.do("export_run")
    wait(qtbot, opened)
    assert not opened.error.isVisible(), opened.error._text.text()
    assert open_checkpoint(out).classes == 12
    told = json.loads((tmp_path / "cleaned.safetensors.json").read_text())
    assert told["method"] == runs[0].run.method
    assert told["trigger"] == STICKER


def test_a_report_with_the_selected_purification(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "audit.html"
    monkeypatch.setattr(commands_module, "ask_where", lambda *_: out)
    opened.auditor.set_alpha(0.2)
    opened.commands.do("report")
    wait(qtbot, opened)
    assert not opened.error.isVisible(), opened.error._text.text()
    page = out.read_text("utf-8")
    assert "α = 0.2" in page, "as it is shown"
    assert "After purification" not in page
    opened.commands._purify("cut:neurons=3", 9, "", 0.2)
    wait(qtbot, opened)
    opened.commands.do("ja")
    opened.commands.do("report")
    wait(qtbot, opened)
    page = out.read_text("utf-8")
    assert "浄化の後" in page


def test_stopped_it_keeps_the_best_until_then(opened: MainWindow, qtbot: QtBot) -> None:
    assert opened.work is not None
    opened.commands._purify("fine-tuning:epochs=40", 9, "", 0.2)
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 1, timeout=60_000)
    opened.actions_["cancel"].trigger()
    wait(qtbot, opened)
    (run,) = opened.session.state.runs
    assert not run.run.complete
    assert 1 < len(run.run.rows) < 40
    assert opened.work.runs.table.item(1, 0).text() == "fine-tuning (stopped)"


def test_wrong_settings_are_said_before_anything_starts(opened: MainWindow) -> None:
    dialog = ask(opened)
    dialog.spec.setText("shift-tuning:epochs=many")
    assert not dialog.start.isEnabled()
    assert "epochs cannot be 'many'" in dialog._error.text()
    dialog.spec.setText("shift-tuning:epochs=3")
    dialog.trigger.setText("magic")
    assert not dialog.start.isEnabled()
    dialog.trigger.setText("")
    assert dialog.start.isEnabled()
    dialog.reject()


def test_another_audit_has_no_runs_of_this_one(
    opened: MainWindow, qtbot: QtBot, audit_file: Path
) -> None:
    opened.commands._purify("cut:neurons=3", 9, "", 0.2)
    wait(qtbot, opened)
    assert len(opened.session.state.runs) == 1
    opened.commands.open(audit_file)
    wait(qtbot, opened)
    assert opened.session.state.runs == ()
