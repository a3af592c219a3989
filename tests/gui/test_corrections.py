"""Wrong guesses are fixed in the cards."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from driving import audit_of, dialog, find, open_paths, wait, wait_well
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from bdshift.checkpoints.users_own import OwnNetwork
from bdshift_gui.dialogs.architecture import ArchitectureDialog
from bdshift_gui.dialogs.labels import LabelsDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import Corrections
from bdshift_gui.views.images_card import ImagesCard
from bdshift_gui.views.model_card import ModelCard


@pytest.fixture
def loaded(window: MainWindow, qtbot: QtBot, victim: Path, few_signs: Path) -> MainWindow:
    """The window with a model and images, not scanned yet."""
    open_paths(qtbot, window, victim, few_signs)
    assert window.session.state.can_scan
    return window


@pytest.mark.slow
def test_an_architecture_is_chosen_by_hand(loaded: MainWindow, qtbot: QtBot) -> None:
    find(loaded, ModelCard).correct.click()
    ask = dialog(qtbot, loaded, ArchitectureDialog)
    wanted = "ResNet-18, width 8, 3×3 stem with max-pool"
    ask.choose(wanted)
    ask.use.click()
    wait_well(qtbot, loaded)
    audit = audit_of(loaded)
    assert audit.model.architecture.startswith(wanted), "perhaps with another activation"
    assert all(trial.architecture.startswith(wanted) for trial in audit.trials)
    assert audit.accuracy < 0.9, "the wrong stem, as was asked"
    find(loaded, ModelCard).correct.click()
    ask = dialog(qtbot, loaded, ArchitectureDialog)
    ask.choose(None)
    ask.use.click()
    wait_well(qtbot, loaded)
    assert audit_of(loaded).accuracy > 0.97


def type_class(ask: LabelsDialog, row: int, text: str) -> None:
    """Type into a cell as a user does."""
    view, place = ask.table.view, ask.table.rows.index(row, 2)
    view.setCurrentIndex(place)
    QTest.keyClick(view, Qt.Key.Key_F2)
    (editor,) = (one for one in view.viewport().findChildren(QLineEdit) if one.isVisible())
    editor.selectAll()
    QTest.keyClicks(editor, text)
    QTest.keyClick(editor, Qt.Key.Key_Return)
    QApplication.processEvents()


def test_folders_are_given_other_classes(loaded: MainWindow, qtbot: QtBot) -> None:
    find(loaded, ImagesCard).correct.click()
    ask = dialog(qtbot, loaded, LabelsDialog)
    type_class(ask, 0, "1")
    assert not ask.use.isEnabled(), "two folders of one class"
    type_class(ask, 1, "0")
    ask.use.click()
    wait_well(qtbot, loaded)
    audit = audit_of(loaded)
    assert audit.images.class_names[:2] == ("crossing", "caution")
    assert str(audit.images.label_source) == "given by hand"
    assert 0.75 < audit.accuracy < 0.9, "two classes of twelve are wrong"
    find(loaded, ImagesCard).correct.click()
    ask = dialog(qtbot, loaded, LabelsDialog)
    rows = [[ask.table.text(y, x) for x in range(4)] for y in range(2)]
    assert [(row[0], row[2]) for row in rows] == [("caution", "1"), ("crossing", "0")], "as it is"
    assert rows[0][3] == "caution", "the name of the class"
    ask.sorted.click()
    assert ask.order() == {name: i for i, name in enumerate(sorted(ask.order() or {}))}
    ask.reject()


def test_a_class_name_file_with_a_fault_is_said(
    opened: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    find(opened, ImagesCard).correct.click()
    ask = dialog(qtbot, opened, LabelsDialog)
    before = ask.order()
    path = tmp_path / "names.txt"
    path.write_text("stop\nyield\n")
    ask.read(path)
    wait(qtbot, opened)
    assert "does not name the folder" in ask._error.text()
    assert ask.order() == before
    assert before is not None
    path.write_text("\n".join(sorted(before, reverse=True)))
    ask.read(path)
    wait(qtbot, opened)
    assert ask.order() == {name: i for i, name in enumerate(sorted(before, reverse=True))}
    ask.reject()


def test_an_unknown_network_can_be_named(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_the_window.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.odd = nn.Conv2d(3, 7, 3)\n"
        "        self.last = nn.Linear(7, 4)\n"
        "        self.gate = nn.Parameter(torch.zeros(7, 7))\n"
        "    def forward(self, x):\n"
        "        return self.last(self.odd(x).relu().mean((2, 3)) @ self.gate)\n"
    )
    weights = {
        "odd.weight": torch.randn(7, 3, 3, 3), "odd.bias": torch.randn(7),
        "last.weight": torch.randn(4, 7), "last.bias": torch.randn(4), "gate": torch.eye(7),
    }  # fmt: skip
    torch.save(weights, tmp_path / "odd.pth")
    open_paths(qtbot, window, tmp_path / "odd.pth")
    name = window.error.buttons["name_architecture"]
    assert name.isVisible()
    name.click()
    ask = dialog(qtbot, window, ArchitectureDialog)
    assert not ask.use.isEnabled()
    ask.own.setText("mine_for_the_window:Net")
    ask.use.click()
    wait_well(qtbot, window)
    state = window.session.state
    assert state.model is not None
    assert state.model.description.recognized is not None
    assert state.model.description.recognized.architectures == ("mine_for_the_window:Net",)
    assert state.corrections.arch == OwnNetwork("mine_for_the_window:Net")


def test_another_model_forgets_what_was_right_for_the_last(
    loaded: MainWindow, qtbot: QtBot, victim: Path, tmp_path: Path
) -> None:
    given = Corrections(arch="ResNet-18, width 8, CIFAR stem", normalize="half", batch=32)
    loaded.session.update(corrections=given)
    other = tmp_path / "other.pth"
    shutil.copy(victim, other)
    open_paths(qtbot, loaded, other)
    assert loaded.session.state.corrections == Corrections()


def test_an_architecture_that_an_audit_names_as_code_is_not_offered(
    opened: MainWindow, qtbot: QtBot
) -> None:
    """An audit file may come from anyone, and what is chosen here is imported and run."""
    audit = audit_of(opened)
    theirs = replace(audit.trials[0], architecture="os:system")
    opened.session.update(audit=replace(audit, trials=(*audit.trials, theirs)), model=None)
    find(opened, ModelCard).correct.click()
    ask = dialog(qtbot, opened, ArchitectureDialog)
    assert "os:system" not in [one["arch"] for one in ask.offered]
    ask.reject()


def test_the_window_may_go_while_a_cell_is_edited(opened: MainWindow, qtbot: QtBot) -> None:
    find(opened, ImagesCard).correct.click()
    ask = dialog(qtbot, opened, LabelsDialog)
    view = ask.table.view
    view.setCurrentIndex(ask.table.rows.index(0, 2))
    QTest.keyClick(view, Qt.Key.Key_F2)
    assert any(one.isVisible() for one in view.viewport().findChildren(QLineEdit))
