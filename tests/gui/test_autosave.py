"""What is not saved survives a kill."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from driving import open_paths, wait, wait_well
from pytestqt.qtbot import QtBot

from bdshift.errors import InputError
from bdshift.jobs import SILENT
from bdshift.locks import hold, locked
from bdshift.store import load_audit
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import writing


def copies(window: MainWindow) -> list[Path]:
    return sorted((window.settings.data_folder / "unsaved").glob("*.h5"))


def test_an_unsaved_audit_is_copied_until_it_is_saved(
    purified: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    assert copies(purified) == [], "what was opened is in a file"
    original = purified.session.state.original
    assert original is not None
    purified.session.update(kept=None)
    qtbot.waitUntil(lambda: bool(copies(purified)), timeout=30_000)
    wait(qtbot, purified)
    [copy] = copies(purified)
    found = load_audit(copy)
    assert len(found.purifications) == 2
    assert found.embedding is not None
    writing.save(purified.context, tmp_path / "a.h5")
    wait_well(qtbot, purified)
    assert copies(purified) == []
    assert not list(copy.parent.iterdir()), "nor is a lock left"


def answering(monkeypatch: pytest.MonkeyPatch, window: MainWindow, answer: str) -> list[str]:
    """Answer what is asked about a copy; returns the questions, as they come."""
    asked: list[str] = []

    def restore(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr(window.context.ask, "restore", restore)
    return asked


@pytest.fixture
def left(window: MainWindow, purified_file: Path) -> Path:
    """A copy that a killed run has left."""
    folder = window.settings.data_folder / "unsaved"
    folder.mkdir(parents=True)
    return Path(shutil.copyfile(purified_file, folder / "of-another-run.h5"))


def test_a_copy_that_was_left_is_offered_and_goes_on_as_unsaved(
    window: MainWindow, qtbot: QtBot, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, window, "open")
    window.autosave.offer()
    qtbot.waitUntil(lambda: window.session.state.original is not None, timeout=60_000)
    wait_well(qtbot, window)
    state = window.session.state
    assert "victim.pth" in asked[0]
    assert len(state.purifications) == 2
    assert state.modified
    assert state.document is None
    assert left.exists(), "until it is saved"
    assert window.windowTitle().startswith("victim.pth[*]")
    window.autosave.close()
    assert not left.exists(), "the user has closed the window without saving it"


def test_what_is_discarded_is_not_offered_again(
    window: MainWindow, qtbot: QtBot, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, window, "discard")
    window.autosave.offer()
    qtbot.waitUntil(lambda: not left.exists(), timeout=60_000)
    wait(qtbot, window)
    assert len(asked) == 1


def test_neither_another_windows_copy_nor_a_damaged_one_is_offered(
    window: MainWindow, qtbot: QtBot, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, window, "stay")
    left.with_name("damaged.h5").write_text("nothing")
    with locked(left.with_suffix(".owner"), SILENT):
        window.autosave.offer()
        wait(qtbot, window)
        assert asked == []
    window.autosave.offer()
    wait(qtbot, window)
    assert len(asked) == 1
    assert left.exists()


def test_a_copy_that_cannot_be_opened_stays(
    window: MainWindow, qtbot: QtBot, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Path) -> None:
        raise InputError("{path}: is damaged", path="of-another-run.h5")

    def restore(_: str) -> str:
        monkeypatch.setattr("bdshift.store.load_audit", fails)
        return "open"

    monkeypatch.setattr(window.context.ask, "restore", restore)
    window.autosave.offer()
    qtbot.waitUntil(lambda: window.session.state.failure is not None, timeout=60_000)
    wait(qtbot, window)
    window.autosave.close()
    assert left.exists()
    release = hold(left.with_suffix(".owner"))
    assert release is not None, "another window may offer it"
    release()


def test_a_copy_that_cannot_be_written_holds_up_nothing(
    purified: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise InputError("{path}: the disk is full", path="copy")

    with monkeypatch.context() as patch:
        patch.setattr("bdshift.store.save_audit", fails)
        purified.session.update(kept=None)
        qtbot.waitUntil(
            lambda: any("disk is full" in str(line) for line in purified.session.state.log),
            timeout=30_000,
        )
    original = purified.session.state.original
    assert original is not None
    purified.session.update(original=replace(original, accuracy=0.5))
    qtbot.waitUntil(lambda: bool(copies(purified)), timeout=30_000)


def test_nothing_is_offered_over_an_open_audit(
    window: MainWindow, qtbot: QtBot, left: Path, audit_file: Path
) -> None:
    open_paths(qtbot, window, audit_file)
    window.autosave.offer()  # a question would block here
    wait_well(qtbot, window)
    assert left.exists()
