"""What was read wrongly is set right in the cards."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from PySide6.QtWidgets import QDialog
from pytestqt.qtbot import QtBot
from waiting import wait

from bdshift_gui.dialogs.architecture import ArchitectureDialog
from bdshift_gui.dialogs.labels import LabelsDialog
from bdshift_gui.main_window import MainWindow

_Dialog = TypeVar("_Dialog", bound=QDialog)


def dialog(window: MainWindow, kind: type[_Dialog]) -> _Dialog:
    (found,) = window.findChildren(kind)
    return found


@pytest.fixture
def loaded(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> MainWindow:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    window.commands.open_all([victim, signs])
    qtbot.waitUntil(lambda: window.session.state.can_scan, timeout=60_000)
    wait(qtbot, window)
    window.auditor.correct(sample=120)
    return window


def test_an_architecture_is_chosen_by_hand(loaded: MainWindow, qtbot: QtBot) -> None:
    assert loaded.work is not None
    loaded.work.model_card.correct.click()
    ask = dialog(loaded, ArchitectureDialog)
    wanted = "ResNet-18, width 16, 3×3 stem with max-pool"
    ask.choose(wanted)
    ask.use.click()
    wait(qtbot, loaded)
    audit = loaded.session.state.audit
    assert audit is not None
    assert audit.model.architecture.startswith(wanted), "perhaps with another activation"
    assert all(trial.architecture.startswith(wanted) for trial in audit.trials)
    assert audit.accuracy < 0.9, "the wrong stem, as was asked"
    loaded.work.model_card.correct.click()
    ask = dialog(loaded, ArchitectureDialog)
    ask.choose(None)
    ask.use.click()
    wait(qtbot, loaded)
    assert loaded.session.state.audit is not None
    assert loaded.session.state.audit.accuracy > 0.97


def test_folders_are_given_other_classes(loaded: MainWindow, qtbot: QtBot) -> None:
    assert loaded.work is not None
    loaded.work.images_card.correct.click()
    ask = dialog(loaded, LabelsDialog)
    ask._cells[0].setText("1")
    assert not ask.use.isEnabled(), "two folders of one class"
    ask._cells[1].setText("0")
    ask.use.click()
    wait(qtbot, loaded)
    audit = loaded.session.state.audit
    assert audit is not None
    assert audit.images.class_names[:2] == ("crossing", "caution")
    assert audit.images.label_source == "given by hand"
    assert 0.75 < audit.accuracy < 0.9, "two classes of twelve are wrong"
    loaded.work.images_card.correct.click()
    ask = dialog(loaded, LabelsDialog)
    assert ask._cells[0].text() == "0", "as the audit has them: crossing is 0"
    ask.sorted.click()
    assert ask.order() == {name: i for i, name in enumerate(sorted(ask.order() or {}))}
    ask.reject()


def test_a_class_name_file_with_a_fault_is_said(opened: MainWindow, tmp_path: Path) -> None:
    assert opened.work is not None
    opened.work.images_card.correct.click()
    ask = dialog(opened, LabelsDialog)
    before = ask.order()
    path = tmp_path / "names.txt"
    path.write_text("stop\nyield\n")
    ask.read(path)
    assert "does not name the folder" in ask._error.text()
    assert ask.order() == before
    assert before is not None
    path.write_text("\n".join(sorted(before, reverse=True)))
    ask.read(path)
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
    window.commands.open(tmp_path / "odd.pth")
    wait(qtbot, window)
    assert window.error._name.isVisible()
    window.error._name.click()
    ask = dialog(window, ArchitectureDialog)
    assert not ask.use.isEnabled()
    ask.own.setText("mine_for_the_window:Net")
    ask.use.click()
    wait(qtbot, window)
    assert not window.error.isVisible(), window.error._text.text()
    assert window.session.state.model is not None
    assert window.session.state.model["architectures"] == ["mine_for_the_window:Net"]
    assert window.session.state.corrections["arch"] == "mine_for_the_window:Net"


def test_another_model_forgets_what_was_right_for_the_last(
    loaded: MainWindow, qtbot: QtBot, victim: Path, tmp_path: Path
) -> None:
    loaded.auditor.correct(arch="ResNet-18, width 16, CIFAR stem", normalize="half")
    other = tmp_path / "other.pth"
    shutil.copy(victim, other)
    loaded.commands.open(other)
    wait(qtbot, loaded)
    assert "arch" not in loaded.session.state.corrections
    assert "normalize" not in loaded.session.state.corrections
    assert loaded.session.state.corrections["sample"] == 120
