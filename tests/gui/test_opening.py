"""Dropped files are opened as what they are; the card's details; several models in a file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch
from driving import audit_of, dialog, do, error_text, find, open_paths, wait, workspace
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from bdshift_gui.actions.correct import other_models
from bdshift_gui.actions.open_files import open_dropped
from bdshift_gui.dialogs.model_page import ModelPage
from bdshift_gui.dialogs.which_model import WhichModelDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.images_card import ImagesCard
from bdshift_gui.views.model_card import ModelCard


def test_the_card_has_details(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(2048, 5),
    )  # fmt: skip
    torch.save({"model": network, "epoch": 3}, tmp_path / "m.pt")
    open_paths(qtbot, window, tmp_path / "m.pt")
    find(window, ModelCard).details.click()
    page = dialog(qtbot, window, ModelPage)
    shown = {key.text(): value.accessibleName() for key, value in page.rows._shown}
    assert shown["Saved class"].endswith("torch.nn.modules.container.Sequential")
    assert "1 convolution and 1 linear layer" in shown["Architecture"]
    assert shown["Also in the file"].endswith("epoch")
    cells = [page.table.text(0, column) for column in (1, 2)]
    assert cells == ["Conv2d", "8 × 3 × 3 × 3"]
    page.reject()


def test_images_are_asked_for_beside_the_model_and_named(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[str] = []

    def choose(_parent: object, _title: str, start: str) -> str:
        starts.append(start)
        return str(signs)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", choose)
    open_paths(qtbot, window, victim)
    do(window, "open_images")
    wait(qtbot, window)
    assert starts == [str(victim.parent)]
    assert window.welcome._progress.text() == f"✓ Model: victim.pth\n✓ Images: {signs.name}"
    card = find(window, ImagesCard)
    assert card._name.accessibleName() == signs.name
    do(window, "ja")
    assert window.welcome._progress.text().endswith(f"✓ 画像：{signs.name}")


@pytest.fixture
def two_models(victim: Path, tmp_path: Path) -> Path:
    state = torch.load(victim, weights_only=True)["state_dict"]
    torch.save({"teacher": state, "student": dict(state)}, tmp_path / "two.pt")
    return tmp_path / "two.pt"


def test_of_several_models_one_is_chosen(
    window: MainWindow, qtbot: QtBot, two_models: Path
) -> None:
    open_paths(qtbot, window, two_models)
    assert "several models" in error_text(window)
    window.error.buttons["choose_model"].click()
    ask = dialog(qtbot, window, WhichModelDialog)
    ask.list.setCurrentRow(1)
    ask.use.click()
    wait(qtbot, window)
    model = window.session.state.model
    assert model is not None
    assert model.description.wrapper == ("student",)
    assert model.weights == window.session.state.corrections.weights == "student"
    assert not window.error.isVisible()


def test_another_file_is_not_offered_the_models_of_the_last(
    window: MainWindow, qtbot: QtBot, two_models: Path, victim: Path, tmp_path: Path
) -> None:
    """What happens to the file after an ambiguous one has nothing to do with the ambiguous one."""
    open_paths(qtbot, window, two_models)
    assert other_models(window.session.state) == ("teacher", "student")
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    open_paths(qtbot, window, tmp_path / "broken.pth")
    assert other_models(window.session.state) == ()
    assert not window.error.buttons["choose_model"].isVisible()
    open_paths(qtbot, window, victim)
    assert other_models(window.session.state) == ()


@pytest.mark.parametrize("name", ["details", "correct"])
def test_the_card_is_used_by_keyboard(opened: MainWindow, name: str) -> None:
    button = getattr(find(opened, ModelCard), name)
    assert button.text()
    assert button.toolTip()


def test_a_drop_touches_no_disk_in_the_windows_thread(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker finds out what a file is; an archive may have 200 000 entries."""
    import threading

    import bdshift.kinds

    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("cat/a.png", b"")
    where: list[bool] = []
    look = bdshift.kinds.kind_of

    def noted(path: Path) -> bdshift.kinds.Kind:
        where.append(threading.current_thread() is threading.main_thread())
        return look(path)

    monkeypatch.setattr(bdshift.kinds, "kind_of", noted)
    open_dropped(window.context, [tmp_path / "set.zip"])
    wait(qtbot, window)
    assert where == [False]


def test_a_checkpoint_is_read_once_while_it_is_open(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not read again for the scan, TAC, maps, a purification, an export."""
    from known import STICKER

    import bdshift.checkpoints.classifier as classifier
    from bdshift.audit.unfinished import PurificationRequest
    from bdshift.checkpoints.export import EXPORT_FORMS
    from bdshift_gui.tasks import measuring, purifying, scanning, writing

    read: list[str] = []
    once = classifier.read_checkpoint  # type: ignore[attr-defined]

    def noted(path: str | Path, **more: object) -> object:
        read.append(str(path))
        return once(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(classifier, "read_checkpoint", noted)
    open_paths(qtbot, window, victim, signs)
    scanning.scan(window.context)
    wait(qtbot, window)
    measuring.measure_tac(window.context, STICKER)
    wait(qtbot, window)
    measuring.look(window.context, (3,), 2)
    wait(qtbot, window)
    purifying.purify(window.context, (PurificationRequest("cut:neurons=3", 9, "", 0.2),))
    wait(qtbot, window)
    out = window.context.demo_folder.parent / "out.pth"
    writing.export_purified(window.context, 1, out, EXPORT_FORMS.parse("state-dict"))
    wait(qtbot, window)
    assert window.session.state.failure is None
    assert out.is_file()
    assert read == [str(victim)]
    assert audit_of(window).tac
    assert workspace(window).docks["audit"].isVisible()
