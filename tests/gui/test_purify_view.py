"""From the verdict to a cleaned model in a file, in the window."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QInputDialog, QLineEdit, QMessageBox, QSpinBox
from pytestqt.qtbot import QtBot

from bdshift.audit.unfinished import Asked
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.purify import METHODS, PAPER, Cut, parse_method
from bdshift.store import load_audit
from bdshift_gui import run_commands as commands_module
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.widgets.card import plain
from bdshift_gui.widgets.settings_form import SettingsForm

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"


def wait(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=120_000)
    assert not window.error.isVisible(), window.error._text.text()


def purify(qtbot: QtBot, window: MainWindow, method: str, trigger: str = "") -> None:
    window.commands._purify((Asked(method, 9, trigger, 0.2),))
    wait(qtbot, window)


def ask(window: MainWindow) -> PurifyDialog:
    window.commands.do("purify")
    (dialog,) = window.findChildren(PurifyDialog)
    return dialog


def ask_again(window: MainWindow) -> PurifyDialog:
    window.commands.do("purify")
    return window.findChildren(PurifyDialog)[-1]


@pytest.fixture
def tuned(window: MainWindow, qtbot: QtBot, runs_file: Path) -> MainWindow:
    """The window with an audit that has two purifications."""
    window.commands.open(runs_file)
    wait(qtbot, window)
    return window


# --- asking how


def test_a_purification_from_the_dialog(opened: MainWindow, qtbot: QtBot) -> None:
    assert opened.work is not None
    dialog = ask(opened)
    assert dialog.target.currentText() == "speed_80"
    assert dialog.trigger.text() == STICKER
    epochs = dialog.settings.fields["epochs"]
    assert isinstance(epochs, QSpinBox)
    epochs.setValue(2)
    dialog.start.click()
    assert opened.work.docks["runs"].isVisible()
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 0, timeout=60_000)
    assert opened.work.runs.curves.title.text() == "Step 1 of 2"
    wait(qtbot, opened)
    assert opened.session.state.steps == ()
    dialog = ask(opened)
    dialog.method.setCurrentIndex(dialog.method.findData("selected"))
    neurons = dialog.settings.fields["neurons"]
    assert isinstance(neurons, QLineEdit)
    assert neurons.text() == "+".join(map(str, sorted(opened.selection.now.neurons)))
    dialog.start.click()
    wait(qtbot, opened)
    runs = opened.session.state.runs
    assert [run.run.method.partition(":")[0] for run in runs] == ["shift-tuning", "cut"]
    assert len(opened.work.runs.cards) == 2
    assert opened.work.runs.chosen == 2, "the newest is chosen"
    assert opened.isWindowModified()


@pytest.mark.parametrize("text", [*METHODS, "paper", "cut:neurons=3+17"])
def test_the_form_says_what_the_method_says(qtbot: QtBot, text: str) -> None:
    form = SettingsForm()
    qtbot.addWidget(form)
    method = parse_method(text)
    form.show_method(method)
    assert parse_method(form.text()) == method
    assert all(field.toolTip() for field in form.fields.values())
    if method == PAPER:
        keep = form.fields["keep"]
        assert isinstance(keep, QComboBox)
        keep.setCurrentText("reach")
        assert parse_method(form.text()) != method


def test_wrong_settings_are_said_before_anything_starts(opened: MainWindow) -> None:
    dialog = ask(opened)
    dialog.method.setCurrentIndex(dialog.method.findData("selected"))
    neurons = dialog.settings.fields["neurons"]
    assert isinstance(neurons, QLineEdit)
    neurons.setText("three")
    assert not dialog.start.isEnabled()
    assert "numbers joined by +" in dialog._error.text()
    neurons.setText("3")
    dialog.trigger.setText("magic")
    assert not dialog.start.isEnabled()
    dialog.trigger.setText("")
    assert dialog.start.isEnabled()
    dialog.reject()


def test_what_was_interrupted_is_offered_again(opened: MainWindow, qtbot: QtBot) -> None:
    """As after a crash: the state is there, the purification in no file."""
    purify(qtbot, opened, "fine-tuning:epochs=2,rate=0.01,batch=64")
    first = opened.session.state.runs[0]
    dialog = ask(opened)
    assert dialog.method.findData("before") < 0, "what is there is not interrupted"
    dialog.reject()
    opened.cleaner.states.clear()  # as if the window were another
    (dialog,) = [one for one in opened.findChildren(PurifyDialog) if one.isVisible()] or [
        ask_again(opened)
    ]
    dialog.method.setCurrentIndex(dialog.method.findData("before"))
    assert not dialog.settings.isEnabled()
    dialog.start.click()
    wait(qtbot, opened)
    second = opened.session.state.runs[1]
    assert second.run.rows == first.run.rows, "not a step was done again"


def test_a_saved_purification_is_not_offered_again(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    purify(qtbot, opened, "cut:neurons=3")
    opened.auditor.save(tmp_path / "a.h5")
    wait(qtbot, opened)
    dialog = ask(opened)
    assert dialog.method.findData("before") < 0
    dialog.reject()


# --- what became of it


def test_the_cards_say_what_became_of_it(tuned: MainWindow) -> None:
    assert tuned.work is not None
    first, second = tuned.session.state.runs
    assert first.after.asr is not None
    card = tuned.work.runs.cards[0]
    values = {key.text(): value.accessibleName() for key, value in card._rows._shown}
    assert values["ASR"].endswith(f"→ {first.after.asr:.1%}".replace("%", " %"))
    tuned.work.runs.choose(1)
    rows = tuned.work.runs.curves.csv().splitlines()
    assert rows[0].startswith("step,loss,held_out_loss")
    assert len(rows) == 4
    assert second.run.method in tuned.work.runs.cards[1].toolTip().replace(", ", ",")


def test_the_rescan_is_shown_in_all_views(tuned: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    assert tuned.work is not None
    original = tuned.session.state.original
    tuned.auditor.set_alpha(0.2)
    tuned.work.runs.cards[0].buttons["show_run"].click()
    wait(qtbot, tuned)  # the rescans are solved for that α too
    state = tuned.session.state
    assert state.runs[0].rescan.shifts.alpha == 0.2
    assert state.shown == 1
    assert state.audit is state.runs[0].rescan
    assert state.shifts is state.runs[0].rescan.shifts
    assert tuned.work.strip.isVisible()
    assert tuned.work.runs.cards[0].buttons["show_run"].text() == "Shown"
    assert state.original is not None
    assert state.original.shifts.alpha == 0.2, "what was set before is not lost"
    tuned.auditor.measure_tac("blend:ratio=0.2")
    wait(qtbot, tuned)
    kept = tuned.session.state.original
    assert kept is not None
    assert [tac.trigger.partition(":")[0] for tac in kept.runs[0].rescan.tac] == ["blend"] or len(
        kept.runs[0].rescan.tac
    ) > 1
    assert original is not None
    assert len(kept.tac) == len(original.tac), "the original's are its own"
    tuned.auditor.save(tmp_path / "a.h5")
    wait(qtbot, tuned)
    assert len(load_audit(tmp_path / "a.h5").runs[0].rescan.tac) == len(kept.runs[0].rescan.tac)
    tuned.work.strip.back.click()
    assert tuned.session.state.shown == 0
    assert not tuned.work.strip.isVisible()
    assert tuned.session.state.audit is tuned.session.state.original


def test_where_neurons_look_is_of_the_model_that_is_shown(tuned: MainWindow, qtbot: QtBot) -> None:
    maps = []
    for number in (0, 1):
        tuned.auditor.show_side(number)
        tuned.auditor.look((3,), 2)
        wait(qtbot, tuned)
        found = tuned.session.state.maps
        assert found is not None
        maps.append(found.clean)
    assert abs(maps[0] - maps[1]).max() > 1e-3


def test_any_two_are_compared(tuned: MainWindow) -> None:
    assert tuned.work is not None
    view = tuned.work.compare
    tuned.work.runs.cards[0].buttons["compare_run"].click()
    assert tuned.session.state.comparing == (0, 1)
    assert tuned.pages.currentWidget() is tuned.work.compare_page
    assert not tuned.work.docks["inspector"].isVisible()
    assert "Attack success 100.0 %" in view.finding.text()
    assert view.table.rowCount() == 3
    assert "triggered images" in view.images.title.text()
    assert view.images.list.count() > 10
    assert view.images.list.item(0).text().startswith("speed_80\n→ ")
    assert view.neurons[0].view.viewRange() == view.neurons[1].view.viewRange()
    view.bars.what.choose("accuracy")
    view.bars.redraw()
    assert view.bars.csv().splitlines()[0] == "class,norms a,norms b,accuracy a,accuracy b"
    view.sides[0].setCurrentIndex(2)
    assert tuned.session.state.comparing == (2, 1)
    view.table.sortByColumn(4, Qt.SortOrder.DescendingOrder)
    assert view.table.item(0, 0).text() == "1 · shift-tuning", "the best DER first"
    assert view.table.item(2, 0).text() == "original", "which has none"
    view.table.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    assert view.table.item(2, 0).text() == "original"
    view.close_button.click()
    assert tuned.session.state.comparing is None
    assert tuned.pages.currentWidget() is tuned.work.plots
    assert tuned.work.docks["inspector"].isVisible()


def test_stopped_it_keeps_the_best_until_then(opened: MainWindow, qtbot: QtBot) -> None:
    assert opened.work is not None
    opened.commands._purify((Asked("fine-tuning:epochs=40", 9, "", 0.2),))
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 1, timeout=60_000)
    opened.actions_["cancel"].trigger()
    wait(qtbot, opened)
    (run,) = opened.session.state.runs
    assert not run.run.complete
    assert 1 < len(run.run.rows) < 40
    assert opened.work.runs.cards[0].title.text() == "1 · fine-tuning (stopped)"


def test_nothing_else_is_shown_while_a_job_runs(tuned: MainWindow, qtbot: QtBot) -> None:
    assert tuned.work is not None
    tuned.auditor.measure_tac("blend:ratio=0.3")
    tuned.work.runs.cards[0].buttons["show_run"].click()
    assert tuned.session.state.shown == 0
    wait(qtbot, tuned)
    tuned.work.runs.cards[0].buttons["show_run"].click()
    assert tuned.session.state.shown == 1
    tuned.auditor.measure_tac("blend:ratio=0.3")
    tuned.work.strip.back.click()
    assert tuned.session.state.shown == 1
    wait(qtbot, tuned)
    assert tuned.session.state.audit is tuned.session.state.runs[0].rescan


def test_the_strip_compares_what_is_shown(tuned: MainWindow) -> None:
    assert tuned.work is not None
    tuned.auditor.show_side(2)
    tuned.work.runs.choose(1)
    tuned.work.strip.compare.click()
    assert tuned.session.state.comparing == (0, 2)


def test_tooltips_are_never_markup() -> None:
    assert plain("a\nb & c") == "a\nb & c"
    shown = plain('<img src="//host/x.png">\nb')
    assert "<img" not in shown
    assert shown.endswith("<br>b")


# --- into files


def test_export_of_model_and_table(
    tuned: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuned.work is not None
    tuned.work.runs.choose(1)
    monkeypatch.setattr(QInputDialog, "getItem", lambda *_: ("safetensors", True))
    out = tmp_path / "cleaned.safetensors"
    monkeypatch.setattr(commands_module, "ask_where", lambda *_: out)
    tuned.commands.do("export_run")
    wait(qtbot, tuned)
    assert open_checkpoint(out).classes == 12
    told = json.loads((tmp_path / "cleaned.safetensors.json").read_text())
    assert told["method"] == tuned.session.state.runs[0].run.method
    assert told["trigger"] == STICKER
    table = tmp_path / "runs.csv"
    monkeypatch.setattr(commands_module, "ask_where", lambda *_: table)
    tuned.commands.do("export_table")
    wait(qtbot, tuned)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["method"].partition(":")[0] for row in rows] == ["original", "shift-tuning", "cut"]


def test_a_report_with_the_chosen_purification(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "audit.html"
    monkeypatch.setattr(commands_module, "ask_where", lambda *_: out)
    opened.auditor.set_alpha(0.2)
    opened.commands.do("report")
    wait(qtbot, opened)
    page = out.read_text("utf-8")
    assert "α = 0.2" in page, "as it is shown"
    assert "After purification" not in page
    purify(qtbot, opened, "cut:neurons=3")
    opened.commands.do("ja")
    opened.commands.do("report")
    wait(qtbot, opened)
    assert "浄化の後" in out.read_text("utf-8")


# --- what is kept, and what is asked first


def test_an_audit_opens_with_its_purifications(
    tuned: MainWindow, qtbot: QtBot, audit_file: Path, tmp_path: Path
) -> None:
    assert tuned.work is not None
    tuned.auditor.save(tmp_path / "runs.h5")
    wait(qtbot, tuned)
    assert not tuned.isWindowModified()
    tuned.commands.open(audit_file)
    wait(qtbot, tuned)
    assert tuned.session.state.runs == ()
    assert tuned.work.runs.cards == []
    tuned.commands.open(tmp_path / "runs.h5")
    wait(qtbot, tuned)
    assert len(tuned.work.runs.cards) == 2
    tuned.auditor.show_side(1)
    assert tuned.session.state.audit is tuned.session.state.runs[0].rescan


def test_unsaved_purifications_are_not_lost_unasked(
    opened: MainWindow, qtbot: QtBot, audit_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purify(qtbot, opened, "cut:neurons=3")
    asked: list[str] = []

    def answer(*given: object, **_: object) -> QMessageBox.StandardButton:
        asked.append(str(given[2]))
        return QMessageBox.StandardButton.Cancel

    monkeypatch.setattr(QMessageBox, "question", answer)
    kept = type(opened.commands)._may_lose.__get__(opened.commands)
    monkeypatch.setattr(opened.commands, "_may_lose", kept)
    opened.commands.open(audit_file)
    opened.commands.do("scan")
    assert not opened.jobs.busy
    assert len(opened.session.state.runs) == 1
    assert len(asked) == 2
    assert "purifications are not saved" in asked[0]
    monkeypatch.setattr(opened.commands, "_may_lose", lambda _: True)


def test_a_cut_is_made_of_the_original(tuned: MainWindow, qtbot: QtBot) -> None:
    """Also while a purified model is shown."""
    tuned.auditor.show_side(1)
    purify(qtbot, tuned, Cut(neurons="5").spec)
    state = tuned.session.state
    assert state.shown == 1, "what was shown is still shown"
    assert state.original is not None
    weight = state.runs[2].rescan.model.weight
    changed = (weight != state.original.model.weight).any(0).nonzero()[0]
    assert changed.tolist() == [5]
