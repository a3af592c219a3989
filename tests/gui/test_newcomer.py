"""What a newcomer ran into in the first five minutes, so that nobody does again."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot
from waiting import wait

from bdshift.assets import asset
from bdshift.jobs import JobContext
from bdshift.store import load_audit
from bdshift_gui.commands import Commands
from bdshift_gui.dialogs.save import ask_where
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow


def test_nothing_is_corrected_while_a_job_runs(opened: MainWindow, qtbot: QtBot) -> None:
    assert opened.work is not None
    going = threading.Event()

    def run(job: JobContext) -> None:
        going.wait(20)

    opened.jobs.start("Waiting", run, lambda _: None)
    for button in (
        opened.work.model_card.correct,
        opened.work.images_card.correct,
        opened.work.images_card.ranking,
    ):
        assert not button.isEnabled()
    opened.commands.scan_with("imagenet")  # from a dialog that was open before
    assert "normalize" not in opened.session.state.corrections
    going.set()
    wait(qtbot, opened)
    assert opened.work.model_card.correct.isEnabled()


def test_tac_is_shown_under_its_own_class(opened: MainWindow, qtbot: QtBot) -> None:
    opened.selection.select_class(3)
    opened.auditor.measure_tac("badnets:size=2")
    opened.selection.select_class(5)
    wait(qtbot, opened)
    assert not opened.error.isVisible(), opened.error._text.text()
    assert opened.session.state.tac is None
    opened.selection.select_class(3)
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
        opened.commands.open(wrong)
        wait(qtbot, opened)
        assert opened.error.isVisible()
        assert opened.session.state.audit is before
    opened.commands.open(shutil.copy(victim, tmp_path / "other.pth"))
    wait(qtbot, opened)
    assert not opened.error.isVisible(), "what is started takes the last error away"
    assert opened.session.state.audit is None
    assert opened.session.state.can_scan, "the audit's images are listed again"


def test_what_is_saved_is_what_is_shown(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    opened.auditor.set_alpha(0.05)
    opened.auditor.set_rule("paper")
    opened.auditor.set_beta(2.9)
    shown = opened.session.state
    assert shown.verdict is not None
    assert not shown.verdict.suspicious
    opened.auditor.save(tmp_path / "mine.h5")
    wait(qtbot, opened)
    found = load_audit(tmp_path / "mine.h5")
    assert found.verdict.rule == "paper"
    assert found.verdict.beta == pytest.approx(2.9)
    assert found.shifts.alpha == found.settings.alpha == pytest.approx(0.05)
    assert not found.verdict.suspicious


def test_an_unwritable_place_is_said_in_words(opened: MainWindow, qtbot: QtBot) -> None:
    opened.auditor.save(Path("/nowhere/at/all/a.h5"))
    wait(qtbot, opened)
    text = opened.error._text.text()
    assert "/nowhere/at/all" in text
    assert "Error" not in text


def test_closing_asks_for_an_audit_that_is_not_saved(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not opened.isWindowModified(), "it came from a file"
    opened.auditor.measure_tac("badnets:size=2")
    wait(qtbot, opened)
    assert opened.isWindowModified()
    opened.commands._may_lose = Commands._may_lose.__get__(opened.commands)  # type: ignore[method-assign]
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Discard]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    assert not opened.close()
    assert opened.isVisible()
    opened.auditor.save(tmp_path / "mine.h5")
    wait(qtbot, opened)
    assert not opened.isWindowModified()
    assert len(answers) == 1


def test_classes_are_reached_by_keys(opened: MainWindow) -> None:
    opened.selection.select_class(11)
    opened.actions_["next_class"].trigger()
    assert opened.selection.now.class_index == 0
    opened.actions_["previous_class"].trigger()
    assert opened.selection.now.class_index == 11


def test_images_that_are_classified_badly_are_said_first(
    opened: MainWindow, qtbot: QtBot, clean_twin: Path, signs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert opened.work is not None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = sorted(folder.name for folder in signs.iterdir())
    turned = {name: (i + 1) % len(names) for i, name in enumerate(names)}
    opened.commands.open_all([clean_twin, signs])
    qtbot.waitUntil(lambda: opened.session.state.can_scan, timeout=60_000)
    wait(qtbot, opened)
    opened.auditor.correct(labels=turned, sample=120)
    opened.commands.scan()
    wait(qtbot, opened)
    assert opened.work.verdict.title.text() == "Says little"
    assert "set right under “classes…”" in opened.work.verdict._trouble.text()
    assert "--labels" not in opened.work.verdict._doubts.text()


def test_the_suffix_is_that_of_the_chosen_kind(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(dialog: QFileDialog) -> int:
        dialog.selectNameFilter("JSON (*.json)")
        dialog.filterSelected.emit("JSON (*.json)")
        return 1

    monkeypatch.setattr(QFileDialog, "exec", choose)
    monkeypatch.setattr(QFileDialog, "selectedFiles", lambda _: [str(tmp_path / "mine")])
    assert ask_where(window, "Export", "n.csv", (".csv", ".json")) == tmp_path / "mine.json"


def test_a_picture_is_asked_for_not_blamed(opened: MainWindow, qtbot: QtBot) -> None:
    dialog = TriggerDialog(opened.session.state, opened)
    qtbot.addWidget(dialog)
    dialog.kind.setCurrentIndex(dialog.kind.findData("patch"))
    assert not dialog.measure.isEnabled()
    assert dialog._error.text().startswith("Which picture")
    assert not dialog._browse.isHidden()


def test_a_victims_card_fills_the_trigger_in(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog = TriggerDialog(opened.session.state, opened)
    qtbot.addWidget(dialog)
    dialog.kind.setCurrentIndex(dialog.kind.findData("sig"))
    dialog.read_card(str(asset("demo/victim.json")))
    assert dialog.kind.currentData() == "badnets"
    assert dialog.spec.text() == "badnets:size=4,color=ffd800,row=20,column=14"
    assert dialog.measure.isEnabled()
    (tmp_path / "no.json").write_text("[]")
    dialog.read_card(str(tmp_path / "no.json"))
    assert not dialog.measure.isEnabled()
    assert "not a victim's card" in dialog._error.text()
