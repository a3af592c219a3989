"""Would I have caught it: an attack is asked for, a victim trained, and the audit shown."""

from __future__ import annotations

import json
from pathlib import Path

from pytestqt.qtbot import QtBot
from waiting import wait

from bdshift_gui.dialogs.lab import AskedVictim, LabDialog, free_folder
from bdshift_gui.main_window import MainWindow


def ask(window: MainWindow) -> LabDialog:
    window.commands.do("lab")
    return window.findChildren(LabDialog)[-1]


def test_a_victim_is_trained_and_audited(
    window: MainWindow, qtbot: QtBot, signs: Path, tmp_path: Path
) -> None:
    window.commands.open(signs)
    wait(qtbot, window)
    dialog = ask(window)
    dialog.spec.setText("badnets:size=6")
    dialog.target.setCurrentText("stop")
    dialog.epochs.setValue(1)
    dialog.width_.setValue(4)
    dialog.folder.setText(str(tmp_path / "victim"))
    assert dialog.start.isEnabled()
    dialog._accept()
    wait(qtbot, window)
    assert not window.error.isVisible(), window.error._text.text()
    card = json.loads((tmp_path / "victim" / "card.json").read_text())
    assert card["recipe"]["target"] == "stop"
    state = window.session.state
    assert state.audit is not None
    assert state.audit.tac[0].trigger.startswith("badnets:size=6")
    assert state.audit.images.class_names[state.audit.tac[0].target] == "stop"
    assert state.model_path == tmp_path / "victim" / "model.pth"
    assert window.isWindowModified(), "it is in no file yet"
    window.setWindowModified(False)


def test_what_cannot_be_is_said(opened: MainWindow, tmp_path: Path) -> None:
    dialog = ask(opened)
    assert dialog.start.isEnabled()
    dialog.attack.setCurrentIndex(dialog.attack.findData("sig"))
    assert dialog.labels.currentData() == "clean-label"
    dialog.labels.setCurrentIndex(dialog.labels.findData("one-to-one"))
    assert dialog._form.isRowVisible(dialog.source)
    dialog.source.setCurrentIndex(dialog.target.currentIndex())
    assert "cannot be the target" in dialog._error.text()
    assert not dialog.start.isEnabled()
    dialog.labels.setCurrentIndex(dialog.labels.findData("all-to-all"))
    assert not dialog._form.isRowVisible(dialog.target)
    assert dialog.start.isEnabled()
    dialog.spec.setText("magic")
    assert "'magic'" in dialog._error.text()
    dialog.attack.setCurrentIndex(dialog.attack.findData("patch"))
    assert "Which picture" in dialog._error.text()
    dialog.attack.setCurrentIndex(dialog.attack.findData(""))
    assert not dialog._form.isRowVisible(dialog.rate)
    assert dialog.start.isEnabled(), "a clean model"
    dialog.folder.setText(" ")
    assert not dialog.start.isEnabled()
    dialog.folder.setText(str(tmp_path))
    told: list[AskedVictim] = []
    dialog.chosen.connect(told.append)
    dialog.answer()
    assert (told[0].attack, told[0].target, told[0].folder) == ("", "", tmp_path)
    dialog.reject()


def test_every_folder_is_a_new_one(tmp_path: Path) -> None:
    assert free_folder(tmp_path).name == "victim-1"
    (tmp_path / "victim-1").mkdir()
    assert free_folder(tmp_path).name == "victim-2"
