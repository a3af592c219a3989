"""Folders that are not the network's classes: said at once, and put right."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from driving import audit_of, dialog, do, error_text, find, open_paths, wait_well
from pytestqt.qtbot import QtBot

from bdshift.audit import ScanSettings, reopen, scan
from bdshift.images.labels import LEFT_OUT
from bdshift.store import load_audit, save_audit
from bdshift_gui.dialogs.labels import LabelsDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.images_card import ImagesCard

QUICK = ScanSettings(sample=120)


@pytest.fixture
def more_folders(few_signs: Path, tmp_path: Path) -> Path:
    """The signs with two folders of images of no class."""
    folder = tmp_path / "more"
    shutil.copytree(few_signs, folder)
    for name in ("zebra", "zoo"):
        shutil.copytree(few_signs / "stop", folder / name)
    return folder


def test_too_many_folders_are_said_at_once_and_left_out(
    window: MainWindow, qtbot: QtBot, victim: Path, more_folders: Path, tmp_path: Path
) -> None:
    open_paths(qtbot, window, victim, more_folders)
    doubt = window.welcome.doubt
    assert doubt.isVisible()
    assert "The images have 14 class folders, but the model has 12 outputs." in doubt.text()
    assert "14 class folders" in find(window, ImagesCard)._note.text()
    window.actions_["ja"].trigger()
    assert "14 個" in doubt.text()
    window.actions_["en"].trigger()
    fix = window.welcome.buttons["correct_labels"]
    assert fix.isVisible()
    assert fix.objectName() == "primary"
    fix.click()
    ask = dialog(qtbot, window, LabelsDialog)
    assert ask.table.rows.rowCount() == 14
    assert [ask.table.text(row, 2) for row in (10, 11, 12, 13)] == ["10", "11", "", ""]
    ask.use.click()
    wait_well(qtbot, window)
    audit = audit_of(window)
    assert audit.accuracy > 0.97
    assert audit.images.folders["zoo"] == LEFT_OUT
    assert audit.images.available == sum(audit.images.counts), "two folders take no part"
    assert "2 folders of images were left out, as asked: zebra, zoo" in (
        find(window, FindingView).cautions.text()
    )
    save_audit(audit, tmp_path / "audit.h5")
    again = load_audit(tmp_path / "audit.h5")
    assert reopen(again).clean.left_out == ("zebra", "zoo"), "the file remembers them"


def test_a_scan_that_fails_for_the_folders_leads_to_the_dialog(
    window: MainWindow, qtbot: QtBot, victim: Path, more_folders: Path
) -> None:
    open_paths(qtbot, window, victim, more_folders)
    do(window, "scan")
    qtbot.waitUntil(lambda: window.session.state.job is None)
    assert "do not fit" in error_text(window)
    window.error.buttons["correct_labels"].click()
    dialog(qtbot, window, LabelsDialog).reject()


def test_missing_folders_are_said_and_nothing_is_said_where_all_is_well(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    for folder in sorted(signs.iterdir())[4:]:
        shutil.copytree(folder, few / folder.name)
    open_paths(qtbot, window, few, victim)
    assert "nothing says which of them the folders are" in window.welcome.doubt.text()
    open_paths(qtbot, window, signs)
    assert window.session.state.class_doubt is None
    assert window.welcome.doubt.isHidden()
    assert window.welcome.buttons["correct_labels"].isHidden()
    assert find(window, ImagesCard).objectName() == "card"


def test_numbered_folders_are_listed_by_their_names_after_a_scan(
    window: MainWindow, qtbot: QtBot, victim: Path, few_signs: Path, tmp_path: Path
) -> None:
    names = sorted(one.name for one in few_signs.iterdir())
    for index, name in enumerate(names):
        shutil.copytree(few_signs / name, tmp_path / "numbers" / f"{index:02}")
    (tmp_path / "names.txt").write_text("\n".join(names))
    settings = ScanSettings(sample=120, labels=tmp_path / "names.txt")
    audit = scan(victim, tmp_path / "numbers", settings)
    assert audit.images.class_names == tuple(names)
    save_audit(audit, tmp_path / "audit.h5")
    open_paths(qtbot, window, tmp_path / "audit.h5")
    find(window, ImagesCard).correct.click()
    ask = dialog(qtbot, window, LabelsDialog)
    first = [ask.table.text(0, column) for column in (0, 2, 3)]
    assert first == ["00", "0", names[0]], "the folder, not what its class is called"
    ask.give(0, "1")
    ask.give(1, "0")
    ask.use.click()
    wait_well(qtbot, window)
    found = audit_of(window)
    assert found.images.folders["00"] == 1, "what was given by hand counts"
    assert found.images.class_names == tuple(names), "the classes are called as before"
    assert found.accuracy < 0.95
