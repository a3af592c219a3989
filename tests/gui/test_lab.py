"""Would I have caught it? An attack is chosen, a victim is trained, and its audit is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from driving import audit_of, dialog, do, open_paths, wait, wait_well
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QSpinBox
from pytestqt.qtbot import QtBot

from bdshift.lab.recipe import Recipe
from bdshift.setting import options_of
from bdshift.triggers import TRIGGERS
from bdshift_gui.dialogs.lab import LabDialog, VictimRequest, free_folder
from bdshift_gui.main_window import MainWindow
from bdshift_gui.widgets.settings_form import SettingsForm, options_named


def ask(qtbot: QtBot, window: MainWindow) -> LabDialog:
    do(window, "lab")
    return dialog(qtbot, window, LabDialog)


def set_number(form: SettingsForm, name: str, value: int) -> None:
    field = form.fields[name]
    assert isinstance(field, QSpinBox)
    field.setValue(value)


def choose(box: QComboBox, key: str) -> None:
    assert box.findData(key) >= 0
    box.setCurrentIndex(box.findData(key))


def test_a_victim_is_trained_and_audited(
    window: MainWindow, qtbot: QtBot, signs: Path, tmp_path: Path
) -> None:
    open_paths(qtbot, window, signs)
    asked = ask(qtbot, window)
    set_number(asked.settings, "size", 6)
    asked.target.setCurrentText("stop")
    set_number(asked.training, "epochs", 1)
    set_number(asked.training, "width", 4)
    asked.folder.setText(str(tmp_path / "victim"))
    wait(qtbot, window)
    assert asked.start.isEnabled()
    asked.start.click()
    wait_well(qtbot, window)
    card = json.loads((tmp_path / "victim" / "card.json").read_text())
    assert card["recipe"]["target"] == "stop"
    audit = audit_of(window)
    assert audit.tac[0].trigger.startswith("badnets:size=6")
    assert audit.images.class_names[audit.tac[0].target] == "stop"
    assert window.session.state.model_path == tmp_path / "victim" / "model.pth"
    assert window.isWindowModified(), "it is in no file yet"


def test_all_fields_line_up(opened: MainWindow, qtbot: QtBot) -> None:
    asked = ask(qtbot, opened)
    for attack in ("badnets", "sig"):
        choose(asked.attack, attack)
        qtbot.wait(50)
        fields = [
            asked.attack, asked.labels, asked.target, asked.folder,
            *(one for form in (asked.settings, asked.poisoning, asked.training)
              for one in form.fields.values()),
        ]  # fmt: skip
        left = {one.mapTo(asked, QPoint(0, 0)).x() for one in fields if one.isVisible()}
        assert len(left) == 1, left
    asked.reject()


def test_what_cannot_be_is_said(opened: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    asked = ask(qtbot, opened)
    assert asked.start.isEnabled()
    choose(asked.attack, "sig")
    assert asked.labels.currentData() == "clean-label"
    choose(asked.labels, "one-to-one")
    assert asked._form.isRowVisible(asked.source)
    asked.source.setCurrentIndex(asked.target.currentIndex())
    wait(qtbot, opened)
    assert "cannot be the target" in asked.error.text()
    assert not asked.start.isEnabled()
    choose(asked.labels, "all-to-all")
    wait(qtbot, opened)
    assert not asked._form.isRowVisible(asked.target)
    assert asked.start.isEnabled()
    choose(asked.attack, "patch")
    assert "Picture" in asked.error.text()
    assert not asked.start.isEnabled()
    file = asked.settings.fields["file"]
    assert isinstance(file, QLineEdit)
    file.setText("//host/x.png")
    wait(qtbot, opened)
    choose(asked.attack, "")
    wait(qtbot, opened)
    assert not asked._form.isRowVisible(asked.poisoning)
    assert asked.start.isEnabled(), "a clean model"
    asked.folder.setText(" ")
    assert not asked.start.isEnabled()
    asked.folder.setText(str(tmp_path))
    wait(qtbot, opened)
    given: list[VictimRequest] = []
    asked.chosen.disconnect()
    asked.chosen.connect(given.append)
    asked.answer()
    assert (given[0].recipe.attack, given[0].recipe.target) == ("", "")
    assert given[0].folder == tmp_path
    asked.reject()


def test_every_attack_that_can_be_trained_is_offered(opened: MainWindow, qtbot: QtBot) -> None:
    asked = ask(qtbot, opened)
    offered = {asked.attack.itemData(i) for i in range(asked.attack.count())} - {""}
    assert offered == {kind.name for kind in TRIGGERS.kinds() if kind.for_training}
    for name in offered:
        choose(asked.attack, name)
        assert set(asked.settings.fields) == set(TRIGGERS[name].trained_settings())
        assert asked.labels.currentData() == TRIGGERS[name].usual_labels
    asked.reject()


def test_the_recipe_says_what_its_settings_are(opened: MainWindow, qtbot: QtBot) -> None:
    asked = ask(qtbot, opened)
    about = {one.name: one.about for one in options_of(Recipe)}
    for name, field in (
        ("attack", asked.attack), ("labels", asked.labels), ("target", asked.target),
        ("source", asked.source),
    ):  # fmt: skip
        label = asked._form.labelForField(field)
        assert isinstance(label, QLabel)
        assert label.text() == field.accessibleName() == about[name].label
    assert asked.target.toolTip() == about["target"].help
    assert asked.attack.toolTip() == TRIGGERS[asked.attack.currentData()].summary
    with pytest.raises(KeyError):
        options_named(Recipe, ("attak",))
    asked.reject()


def test_every_folder_is_a_new_one(tmp_path: Path) -> None:
    assert free_folder(tmp_path).name == "victim-1"
    (tmp_path / "victim-1").mkdir()
    assert free_folder(tmp_path).name == "victim-2"
