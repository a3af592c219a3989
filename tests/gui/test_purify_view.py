"""From the finding to a purified model in a file, in the window."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from driving import dialog, do, find, open_paths, wait, wait_well, workspace
from known import STICKER
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLineEdit, QSpinBox
from pytestqt.qtbot import QtBot

from bdshift.audit import Purification
from bdshift.audit.unfinished import PurificationRequest
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.export import EXPORT_FORMS
from bdshift.purification import METHODS
from bdshift.purification.methods.cut import Cut
from bdshift.purification.methods.shift_tuning import PAPER
from bdshift.setting import options_of
from bdshift.store import load_audit
from bdshift_gui.actions.open_files import open_dropped
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import measuring, purifying, writing
from bdshift_gui.tasks.showing import set_alpha, show_side
from bdshift_gui.views.compare import CompareView
from bdshift_gui.views.purifications import PurificationsView
from bdshift_gui.views.shown_strip import ShownStrip
from bdshift_gui.widgets.settings_form import SettingsForm


def start(window: MainWindow, method: str, trigger: str = "") -> None:
    purifying.purify(window.context, (PurificationRequest(method, 9, trigger, 0.2),))


def purify(qtbot: QtBot, window: MainWindow, method: str, trigger: str = "") -> None:
    start(window, method, trigger)
    wait_well(qtbot, window)


def ask(qtbot: QtBot, window: MainWindow) -> PurifyDialog:
    do(window, "purify")
    return dialog(qtbot, window, PurifyDialog)


def first_cells(view: CompareView) -> list[str]:
    return [view.table.text(row, 0) for row in range(view.table.rows.rowCount())]


def made(window: MainWindow, number: int) -> Purification:
    return window.session.state.purifications[number - 1]


# --- the dialog


def test_a_purification_from_the_dialog(opened: MainWindow, qtbot: QtBot) -> None:
    asked = ask(qtbot, opened)
    assert asked.target.currentText() == "speed_80"
    assert asked.trigger.text() == STICKER
    epochs = asked.settings.fields["epochs"]
    assert isinstance(epochs, QSpinBox)
    epochs.setValue(2)
    wait(qtbot, opened)
    asked.start.click()
    assert opened.pages.currentWidget() is workspace(opened).pages["purifications"]
    assert find(opened, PurificationsView).curves.title.text() == "No step is finished yet"
    assert opened.job_bar._text.text().startswith("Purifying by shift-tuning")
    assert opened.job_bar._cancel.text() == "Stop and keep the result"
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 1, timeout=60_000)
    assert find(opened, PurificationsView).curves.title.text() == "Step 1 of 2"
    assert opened.session.state.steps[0].number == -1, "what was measured before"
    wait_well(qtbot, opened)
    assert str(opened.session.state.message).startswith("Purified by shift-tuning: ")
    assert opened.message.text().startswith("Purified by shift-tuning: ")
    assert opened.session.state.steps == ()
    asked = ask(qtbot, opened)
    asked.method.setCurrentIndex(asked.method.findData("selected"))
    neurons = asked.settings.fields["neurons"]
    assert isinstance(neurons, QLineEdit)
    assert neurons.text() == "+".join(map(str, sorted(opened.session.state.selection.neurons)))
    wait(qtbot, opened)
    asked.start.click()
    wait(qtbot, opened)
    names = [one.result.name for one in opened.session.state.purifications]
    assert names == ["shift-tuning", "cut"]
    assert len(find(opened, PurificationsView).cards) == 2
    assert opened.session.state.chosen == 2, "the newest is chosen"
    assert opened.isWindowModified()


@pytest.mark.parametrize("text", [*METHODS, "paper", "cut:neurons=3+17"])
def test_the_form_says_what_the_method_says(window: MainWindow, qtbot: QtBot, text: str) -> None:
    form = SettingsForm(window.context.ask)
    qtbot.addWidget(form)
    method = METHODS.parse(text)
    given = {one.name: getattr(method, one.name) for one in options_of(type(method))}
    form.show_kind(type(method), given)
    assert METHODS.parse(form.text()) == method
    assert all(field.accessibleName() for field in form.fields.values())
    if method == PAPER:
        keep = form.fields["keep"]
        assert isinstance(keep, QComboBox)
        keep.setCurrentText("reach")
        assert METHODS.parse(form.text()) != method


def test_wrong_settings_are_said_before_anything_starts(opened: MainWindow, qtbot: QtBot) -> None:
    asked = ask(qtbot, opened)
    asked.method.setCurrentIndex(asked.method.findData("selected"))
    neurons = asked.settings.fields["neurons"]
    assert isinstance(neurons, QLineEdit)
    neurons.setText("three")
    wait(qtbot, opened)
    assert not asked.start.isEnabled()
    assert "numbers joined by +" in asked.error.text()
    neurons.setText("3")
    asked.trigger.setText("magic")
    assert asked.trigger.toolTip().startswith("magic\n"), "a path is longer than the field"
    wait(qtbot, opened)
    assert not asked.start.isEnabled()
    asked.trigger.setText("")
    wait(qtbot, opened)
    assert asked.start.isEnabled()
    asked.reject()


def test_what_was_interrupted_is_offered_again(opened: MainWindow, qtbot: QtBot) -> None:
    """As after a crash: the state is there, but the purification is in no file."""
    purify(qtbot, opened, "fine-tuning:epochs=2,rate=0.01,batch=64")
    asked = ask(qtbot, opened)
    assert asked.method.findData("resume") < 0, "what is there is not interrupted"
    asked.reject()
    opened.session.update(pending=())  # as in a new window
    asked = ask(qtbot, opened)
    asked.method.setCurrentIndex(asked.method.findData("resume"))
    assert not asked.settings.isEnabled()
    wait(qtbot, opened)
    asked.start.click()
    wait_well(qtbot, opened)
    assert made(opened, 2).result.rows == made(opened, 1).result.rows, "no step was repeated"


def test_a_saved_purification_is_not_offered_again(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    purify(qtbot, opened, "cut:neurons=3")
    writing.save(opened.context, tmp_path / "a.h5")
    wait(qtbot, opened)
    asked = ask(qtbot, opened)
    assert asked.method.findData("resume") < 0
    asked.reject()


# --- the result


def test_the_cards_say_what_it_did(purified: MainWindow) -> None:
    first, second = purified.session.state.purifications
    assert first.after.asr is not None
    card = find(purified, PurificationsView).cards[0]
    values = {key.text(): value.accessibleName() for key, value in card._rows._shown}
    assert values["ASR"].endswith(f"→ {first.after.asr:.1%}")
    purified.session.update(chosen=1)
    rows = find(purified, PurificationsView).curves.csv().splitlines()
    assert rows[0].startswith("step,loss,held_out_loss")
    assert len(rows) == 5, "before the first step, and three steps"
    assert rows[1].startswith("0,,,")
    assert second.result.method in find(purified, PurificationsView).cards[1].toolTip().replace(
        ", ", ","
    )


def test_the_rescan_is_shown_in_all_views(
    purified: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    original = purified.session.state.original
    set_alpha(purified.context, 0.2)
    find(purified, PurificationsView).cards[0].buttons["show_purified"].click()
    wait(qtbot, purified)  # the rescans are solved for that α too
    state = purified.session.state
    assert made(purified, 1).rescan.shifts.alpha == 0.2
    assert state.shown == 1
    assert state.audit is made(purified, 1).rescan
    assert find(purified, ShownStrip).isVisible()
    assert find(purified, PurificationsView).cards[0].buttons["show_purified"].text() == "Shown"
    assert state.original is not None
    assert state.original.shifts.alpha == 0.2, "what was set before is not lost"
    measuring.measure_tac(purified.context, "blend:ratio=0.2")
    wait_well(qtbot, purified)
    kept = purified.session.state.original
    assert kept is not None
    triggers = [tac.trigger.partition(":")[0] for tac in made(purified, 1).rescan.tac]
    assert triggers == ["badnets", "blend"]
    assert original is not None
    assert len(kept.tac) == len(original.tac), "the original's are its own"
    writing.save(purified.context, tmp_path / "a.h5")
    wait_well(qtbot, purified)
    assert len(load_audit(tmp_path / "a.h5").purifications[0].rescan.tac) == 2
    find(purified, ShownStrip).back.click()
    assert purified.session.state.shown == 0
    assert not find(purified, ShownStrip).isVisible()
    assert purified.session.state.audit is purified.session.state.original


def test_where_neurons_look_is_of_the_model_that_is_shown(
    purified: MainWindow, qtbot: QtBot
) -> None:
    maps = []
    for number in (0, 1):
        show_side(purified.context, number)
        measuring.look(purified.context, (3,), 2)
        wait_well(qtbot, purified)
        found = purified.session.state.maps
        maps.append(found[0].values)
    assert abs(maps[0] - maps[1]).max() > 1e-3


def test_any_two_are_compared(purified: MainWindow) -> None:
    view = find(purified, CompareView)
    find(purified, PurificationsView).cards[0].buttons["compare"].click()
    assert purified.session.state.comparing == (0, 1)
    assert purified.pages.currentWidget() is workspace(purified).pages["compare"]
    assert not workspace(purified).docks["inspector"].isVisible()
    assert "Attack success 100.0%" in view.finding.text()
    assert view.table.rows.rowCount() == 3
    assert "triggered images" in view.images.title.text()
    assert view.images.list.shots.rowCount() > 10
    assert view.images.list.shots.shot(0).caption.startswith("speed_80\n→ ")
    assert view.neurons[0].view.viewRange() == view.neurons[1].view.viewRange()
    view.bars.what.choose("accuracy")
    view.bars.redraw()
    assert view.bars.csv().splitlines()[0] == "class,norms a,norms b,accuracy a,accuracy b"
    view.sides[0].setCurrentIndex(2)
    assert purified.session.state.comparing == (2, 1)
    view.table.view.sortByColumn(4, Qt.SortOrder.DescendingOrder)
    assert first_cells(view) == ["1 · shift-tuning", "2 · cut", "original"], "the best DER first"
    view.table.view.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    assert first_cells(view)[2] == "original", "which has none"
    view.close_button.click()
    assert purified.session.state.comparing is None
    assert purified.pages.currentWidget() is workspace(purified).plots
    assert workspace(purified).docks["inspector"].isVisible()


def test_stopped_it_keeps_the_best_until_then(opened: MainWindow, qtbot: QtBot) -> None:
    start(opened, "fine-tuning:epochs=40")
    qtbot.waitUntil(lambda: len(opened.session.state.steps) > 2, timeout=60_000)
    opened.actions_["cancel"].trigger()
    wait(qtbot, opened)
    assert not made(opened, 1).result.complete
    assert 1 < len(made(opened, 1).result.rows) < 40
    assert find(opened, PurificationsView).cards[0].title.text() == "1 · fine-tuning (stopped)"


def test_nothing_else_is_shown_while_a_job_runs(purified: MainWindow, qtbot: QtBot) -> None:
    measuring.measure_tac(purified.context, "blend:ratio=0.3")
    find(purified, PurificationsView).cards[0].buttons["show_purified"].click()
    assert purified.session.state.shown == 0
    wait(qtbot, purified)
    find(purified, PurificationsView).cards[0].buttons["show_purified"].click()
    assert purified.session.state.shown == 1
    measuring.measure_tac(purified.context, "blend:ratio=0.3")
    find(purified, ShownStrip).back.click()
    assert purified.session.state.shown == 1
    wait(qtbot, purified)
    assert purified.session.state.audit is made(purified, 1).rescan


def test_the_strip_compares_what_is_shown(purified: MainWindow) -> None:
    show_side(purified.context, 2)
    purified.session.update(chosen=1)
    find(purified, ShownStrip).compare.click()
    assert purified.session.state.comparing == (0, 2)


# --- exporting


def test_export_of_model_and_table(
    purified: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purified.session.update(chosen=1)
    formats: list[str] = []

    def choose(_title: str, _label: str, choices: list[str]) -> int:
        formats.extend(choices)
        return list(EXPORT_FORMS).index("safetensors")

    out = tmp_path / "purified.safetensors"
    monkeypatch.setattr(purified.context.ask, "choice", choose)
    monkeypatch.setattr(purified.context.ask, "where", lambda *_: out)
    do(purified, "export_purified")
    wait_well(qtbot, purified)
    assert formats == [kind.label for kind in EXPORT_FORMS.kinds()]
    assert open_checkpoint(out).classes == 12
    beside = json.loads((tmp_path / "purified.safetensors.json").read_text())
    assert beside["method"] == made(purified, 1).result.method
    assert beside["trigger"] == STICKER
    monkeypatch.setattr(purified.context.ask, "confirm", lambda _: False)
    out.unlink()
    do(purified, "export_purified")
    wait_well(qtbot, purified)
    assert not out.exists(), "what lies beside it is not replaced without a question"
    table = tmp_path / "models.csv"
    monkeypatch.setattr(purified.context.ask, "where", lambda *_: table)
    do(purified, "export_table")
    wait_well(qtbot, purified)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["method"].partition(":")[0] for row in rows] == ["original", "shift-tuning", "cut"]


def test_a_report_with_the_chosen_purification(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "audit.html"
    monkeypatch.setattr(opened.context.ask, "where", lambda *_: out)
    set_alpha(opened.context, 0.2)
    do(opened, "report")
    wait_well(qtbot, opened)
    page = out.read_text("utf-8")
    assert "α = 0.2" in page, "as it is shown"
    assert "After purification" not in page
    purify(qtbot, opened, "cut:neurons=3")
    do(opened, "ja")
    do(opened, "report")
    wait_well(qtbot, opened)
    assert "浄化の後" in out.read_text("utf-8")


# --- what is kept, and when the window asks first


def test_an_audit_opens_with_its_purifications(
    purified: MainWindow, qtbot: QtBot, audit_file: Path, tmp_path: Path
) -> None:
    writing.save(purified.context, tmp_path / "purified.h5")
    wait_well(qtbot, purified)
    assert not purified.isWindowModified()
    open_paths(qtbot, purified, audit_file)
    assert purified.session.state.purifications == ()
    assert find(purified, PurificationsView).cards == []
    open_paths(qtbot, purified, tmp_path / "purified.h5")
    assert len(find(purified, PurificationsView).cards) == 2
    show_side(purified.context, 1)
    assert purified.session.state.audit is made(purified, 1).rescan


def test_unsaved_purifications_are_not_lost_unasked(
    opened: MainWindow, qtbot: QtBot, audit_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purify(qtbot, opened, "cut:neurons=3")
    asked: list[str] = []

    def stay(question: str) -> str:
        asked.append(question)
        return "stay"

    with monkeypatch.context() as patch:
        patch.setattr(opened.context.ask, "save_first", stay)
        open_dropped(opened.context, [audit_file])
        do(opened, "scan")
    assert not opened.session.state.busy
    assert len(opened.session.state.purifications) == 1
    assert len(asked) == 2
    assert "purifications are not saved" in asked[0]


def test_a_cut_is_made_of_the_original(purified: MainWindow, qtbot: QtBot) -> None:
    """Also while a purified model is shown."""
    show_side(purified.context, 1)
    purify(qtbot, purified, Cut(neurons="5").spec)
    state = purified.session.state
    assert state.shown == 1, "what was shown is still shown"
    assert state.original is not None
    weight = made(purified, 3).rescan.model.weight
    changed = (weight != state.original.model.weight).any(0).nonzero()[0]
    assert changed.tolist() == [5]
