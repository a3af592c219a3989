"""The audit as a document: its file, its name, and questions before it is lost."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import pytest
from driving import do, error_text, open_paths, wait, wait_well
from known import STICKER
from pytestqt.qtbot import QtBot

from bdshift.files import KeptPath
from bdshift.store import load_audit, save_audit
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import State
from bdshift_gui.tasks import measuring
from bdshift_gui.tasks.writing import suggested


@pytest.fixture
def copied(audit_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mine.h5"
    path.write_bytes(audit_file.read_bytes())
    return path


def change(window: MainWindow) -> None:
    """Make the audit another one than the file's."""
    original = window.session.state.original
    assert original is not None
    window.session.update(original=dataclasses.replace(original, accuracy=0.5))


def test_save_goes_where_the_audit_came_from_and_save_as_asks(
    window: MainWindow, qtbot: QtBot, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_paths(qtbot, window, copied)
    assert window.session.state.document == copied
    assert window.windowTitle() == "mine.h5[*] – bdshift"
    asked: list[str] = []
    other = copied.with_name("other.h5")

    def where(_: str, name: str, __: object) -> Path:
        asked.append(name)
        return other

    monkeypatch.setattr(window.context.ask, "where", where)
    change(window)
    assert window.isWindowModified()
    do(window, "save")
    wait_well(qtbot, window)
    assert load_audit(copied).accuracy == 0.5
    assert asked == []
    assert not window.isWindowModified()
    assert "Saved mine.h5" in window.message.text()
    assert window.written.isVisible()
    assert window.session.state.written == copied
    do(window, "save_as")
    wait_well(qtbot, window)
    assert asked == [str(copied)]
    assert window.session.state.document == other
    assert other.is_file()


def test_save_replaces_no_audit_of_something_else(
    window: MainWindow, qtbot: QtBot, copied: Path
) -> None:
    open_paths(qtbot, window, copied)
    audit = load_audit(copied)
    model = dataclasses.replace(audit.model, sha256="0" * 64)
    save_audit(dataclasses.replace(audit, model=model), copied)
    change(window)
    do(window, "save")
    wait(qtbot, window)
    assert "holds another audit now" in error_text(window)
    assert load_audit(copied).model.sha256 == "0" * 64
    assert window.session.state.modified


def test_the_name_that_is_suggested(tmp_path: Path) -> None:
    assert suggested(State(), "report.html") == "audit.report.html"
    mine = State(model_path=tmp_path / "net.pth")
    assert suggested(mine, "audit.h5") == str(tmp_path / "net.audit.h5")
    theirs = State(model_path=KeptPath("C:\\evil\\..\\net.pth"))
    assert suggested(theirs, "report.html") == "net.report.html"


@pytest.mark.parametrize("answer", ["save", "discard", "stay"])
def test_what_was_measured_is_not_lost_by_opening_another(
    answer: str, window: MainWindow, qtbot: QtBot, copied: Path, clean_twin: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A scan with a trigger vanished, and "Save" only saved."""
    open_paths(qtbot, window, copied)
    change(window)
    assert window.session.state.original is not None
    assert window.session.state.original.tac
    asked: list[str] = []

    def save_first(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr(window.context.ask, "save_first", save_first)
    open_paths(qtbot, window, clean_twin)
    qtbot.waitUntil(lambda: window.quick.idle, timeout=60_000)
    if answer == "save":
        qtbot.waitUntil(lambda: window.session.state.model_path == clean_twin, timeout=60_000)
    wait_well(qtbot, window)
    assert "trigger" in asked[0]
    assert len(asked) == 1
    opened = window.session.state.model_path == clean_twin
    assert opened == (answer != "stay")
    assert (load_audit(copied).accuracy == 0.5) == (answer == "save")
    if opened:
        assert window.session.state.document is None
        assert window.windowTitle().startswith("clean-twin.pth")
    window.session.update(kept=window.session.state.original)  # so that it closes


def test_save_before_closing_closes(
    window: MainWindow, qtbot: QtBot, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_paths(qtbot, window, copied)
    change(window)
    monkeypatch.setattr(window.context.ask, "save_first", lambda _: "save")
    assert not window.close(), "it is saved first"
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)
    assert load_audit(copied).accuracy == 0.5


def test_open_model_takes_an_audit_and_says_so(
    window: MainWindow, qtbot: QtBot, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window.context.ask, "file", lambda *_: copied)
    do(window, "open_model")
    wait_well(qtbot, window)
    state = window.session.state
    assert state.document == copied
    assert any("mine.h5 is an audit" in str(line) for line in state.log)


@pytest.fixture
def moved(copied: Path, victim: Path) -> Path:
    """An audit of a model that is no longer where it was; returns where it is now."""
    now = copied.with_name("moved.pth")
    now.write_bytes(victim.read_bytes())
    audit = load_audit(copied)
    gone = str(copied.with_name("gone.pth"))
    save_audit(
        dataclasses.replace(audit, model=dataclasses.replace(audit.model, path=gone)), copied
    )
    return now


def test_a_model_that_was_moved_is_located(
    window: MainWindow, qtbot: QtBot, copied: Path, moved: Path, clean_twin: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    open_paths(qtbot, window, copied)
    measure = partial(measuring.measure_tac, window.context, STICKER)
    measure()
    wait(qtbot, window)
    assert "gone.pth" in error_text(window)
    button = window.error.buttons["locate"]
    assert button.isVisible()
    assert button.isEnabled()
    monkeypatch.setattr(window.context.ask, "file", lambda *_: clean_twin)
    button.click()
    wait(qtbot, window)
    assert "is not the model that was audited" in error_text(window)
    assert not button.isVisible()
    measure()
    wait(qtbot, window)
    monkeypatch.setattr(window.context.ask, "file", lambda *_: moved)
    button.click()
    wait_well(qtbot, window)
    assert "moved.pth is used from now on" in window.message.text()
    original = window.session.state.original
    assert original is not None
    assert original.model.path == str(moved)
    measure()
    wait_well(qtbot, window)
    assert window.session.state.material is not None
