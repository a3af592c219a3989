"""What a newcomer ran into in the first five minutes, so that no one does again."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from driving import audit_of, error_text, find, open_paths, wait, wait_well, workspace
from known import STICKER
from PySide6.QtWidgets import QCheckBox, QDialogButtonBox, QFileDialog, QSpinBox
from pytestqt.qtbot import QtBot

from bdshift.assets import asset
from bdshift.detect.rules.paper import Paper
from bdshift.jobs import JobContext
from bdshift.store import load_audit
from bdshift_gui.actions.scan import SCAN, scan_corrected
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import Corrections
from bdshift_gui.tasks.measuring import measure_tac
from bdshift_gui.tasks.showing import set_alpha, set_rule
from bdshift_gui.tasks.writing import save
from bdshift_gui.theme import DARK, LIGHT, Theme, style_sheet
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.images_card import ImagesCard
from bdshift_gui.views.model_card import ModelCard


def test_nothing_is_corrected_while_a_job_runs(opened: MainWindow, qtbot: QtBot) -> None:
    model, images = find(opened, ModelCard), find(opened, ImagesCard)
    going = threading.Event()

    def run(job: JobContext) -> None:
        going.wait(20)

    opened.context.start("Waiting", run, lambda _: None)
    for button in (model.correct, images.correct, images.ranking):
        assert not button.isEnabled()
    scan_corrected(opened.context, normalize="imagenet")  # from a dialog opened before
    assert opened.session.state.corrections.normalize is None
    going.set()
    wait(qtbot, opened)
    assert model.correct.isEnabled()


def test_tac_is_shown_under_its_own_class(opened: MainWindow, qtbot: QtBot) -> None:
    opened.context.selection.select_class(3)
    measure_tac(opened.context, "badnets:size=2")
    opened.context.selection.select_class(5)
    wait_well(qtbot, opened)
    assert opened.session.state.tac is None
    opened.context.selection.select_class(3)
    assert opened.session.state.tac is not None
    assert opened.session.state.tac.target == 3


def test_a_mistyped_file_keeps_the_audit(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, victim: Path
) -> None:
    before = opened.session.state.audit
    for wrong in (tmp_path / "broken.pth", tmp_path / "nothing"):
        if wrong.suffix:
            wrong.write_bytes(b"no checkpoint")
        else:
            wrong.mkdir()
        open_paths(qtbot, opened, wrong)
        assert opened.error.isVisible()
        assert opened.session.state.audit is before
    open_paths(qtbot, opened, Path(shutil.copy(victim, tmp_path / "other.pth")))
    assert not opened.error.isVisible(), "what is started takes the last error away"
    assert opened.session.state.audit is None
    assert opened.session.state.can_scan, "the audit's images are listed again"


def test_what_is_saved_is_what_is_shown(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    set_alpha(opened.context, 0.05)
    set_rule(opened.context, Paper(beta=3.3))
    shown = audit_of(opened)
    assert shown.judgment.flagged == ()
    save(opened.context, tmp_path / "mine.h5")
    wait(qtbot, opened)
    found = load_audit(tmp_path / "mine.h5")
    assert found.settings.rule == Paper(beta=3.3)
    assert found.shifts.alpha == pytest.approx(0.05)
    assert found.finding == shown.finding


def test_an_unwritable_place_is_said_in_words(opened: MainWindow, qtbot: QtBot) -> None:
    save(opened.context, Path("/nowhere/at/all/a.h5"))
    wait(qtbot, opened)
    text = error_text(opened)
    assert "/nowhere/at/all" in text
    assert "Error" not in text


def test_closing_asks_for_an_audit_that_is_not_saved(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not opened.isWindowModified(), "it came from a file"
    measure_tac(opened.context, "badnets:size=2")
    wait(qtbot, opened)
    assert opened.isWindowModified()
    asked: list[str] = []

    def stay(question: str) -> str:
        asked.append(question)
        return "stay"

    monkeypatch.setattr(opened.context.ask, "save_first", stay)
    assert not opened.close()
    assert opened.isVisible()
    save(opened.context, tmp_path / "mine.h5")
    wait(qtbot, opened)
    assert not opened.isWindowModified()
    assert len(asked) == 1


def test_classes_are_reached_by_keys(opened: MainWindow) -> None:
    opened.context.selection.select_class(11)
    opened.actions_["next_class"].trigger()
    assert opened.context.selection.now.class_index == 0
    opened.actions_["previous_class"].trigger()
    assert opened.context.selection.now.class_index == 11


@pytest.mark.slow
def test_images_that_are_classified_badly_are_said_first(
    opened: MainWindow, qtbot: QtBot, clean_twin: Path, signs: Path
) -> None:
    names = sorted(folder.name for folder in signs.iterdir())
    turned = {name: (i + 1) % len(names) for i, name in enumerate(names)}
    open_paths(qtbot, opened, clean_twin, signs)
    assert opened.session.state.can_scan
    opened.session.update(corrections=Corrections(labels=turned))
    SCAN.trigger(opened.context)
    wait(qtbot, opened)
    view = find(opened, FindingView)
    assert view.title.text() == "Inconclusive"
    assert view.objectName() == "doubtful"
    said = view.statement.text() + view.reasons.text() + view.cautions.text()
    assert "the classes are probably numbered in another order" in view.statement.text()
    assert "--labels" not in said


def test_the_suffix_is_that_of_the_chosen_kind(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(dialog: QFileDialog) -> int:
        dialog.selectNameFilter("JSON (*.json)")
        dialog.filterSelected.emit("JSON (*.json)")
        return 1

    monkeypatch.setattr(QFileDialog, "exec", choose)
    monkeypatch.setattr(QFileDialog, "selectedFiles", lambda _: [str(tmp_path / "mine")])
    found = window.context.ask.where("Export", "n.csv", (".csv", ".json"))
    assert found == tmp_path / "mine.json"


def test_a_picture_is_asked_for_not_blamed(opened: MainWindow, qtbot: QtBot) -> None:
    dialog = TriggerDialog(opened.context)
    qtbot.addWidget(dialog)
    dialog.kind.setCurrentIndex(dialog.kind.findData("patch"))
    wait(qtbot, opened)
    assert not dialog.measure.isEnabled()
    assert dialog.error.text() == "Choose “Picture” first."


def test_a_victims_card_fills_the_trigger_in(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = TriggerDialog(opened.context)
    qtbot.addWidget(dialog)
    dialog.kind.setCurrentIndex(dialog.kind.findData("sig"))
    dialog.read_card(asset("demo/victim.json"))
    wait(qtbot, opened)
    assert dialog.kind.currentData() == "badnets"
    assert dialog.settings.text() == STICKER
    size = dialog.settings.fields["size"]
    assert isinstance(size, QSpinBox)
    assert size.value() == 4
    assert dialog.measure.isEnabled()
    (tmp_path / "no.json").write_text("[]")
    dialog.read_card(tmp_path / "no.json")
    wait(qtbot, opened)
    assert not dialog.measure.isEnabled()
    assert "not a victim's card" in dialog.error.text()


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_checked_box_has_a_tick_and_cancel_no_picture(qtbot: QtBot, theme: Theme) -> None:
    box, buttons = QCheckBox(), QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    for widget in (box, buttons):
        qtbot.addWidget(widget)
        widget.setStyleSheet(style_sheet(theme))
        widget.show()
    box.setChecked(True)
    shown = box.grab().toImage()
    pixels = {shown.pixelColor(x, y).name() for x in range(18) for y in range(shown.height())}
    assert {theme.accent, theme.on_accent} <= pixels
    assert all(one.icon().isNull() for one in buttons.buttons())


def test_the_keyboard_begins_at_the_next_step(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path, audit_file: Path
) -> None:
    buttons = window.welcome.buttons
    assert window.focusWidget() is buttons["open_model"]
    open_paths(qtbot, window, victim)
    assert window.focusWidget() is buttons["open_images"]
    buttons["demo"].setFocus()
    open_paths(qtbot, window, signs)
    assert window.focusWidget() is not window.language
    open_paths(qtbot, window, audit_file)
    assert window.focusWidget() is workspace(window).plots
