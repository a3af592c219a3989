"""Saving from the window: what others added is kept, and what is no result is not replaced."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from driving import do, error_text, open_paths, wait, wait_well
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from bdshift.audit import with_tac
from bdshift.store import change_audit, load_audit
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import writing


@pytest.fixture
def saved(audit_file: Path, victim: Path, tmp_path: Path) -> Path:
    """An audit file of a model that may be lost."""
    path, model = tmp_path / "a.h5", tmp_path / "model.pth"
    shutil.copyfile(audit_file, path)
    shutil.copyfile(victim, model)
    change_audit(
        path, lambda a: dataclasses.replace(a, model=dataclasses.replace(a.model, path=str(model)))
    )
    return path


def test_what_a_command_added_meanwhile_is_kept(
    window: MainWindow, qtbot: QtBot, saved: Path
) -> None:
    open_paths(qtbot, window, saved)
    wait_well(qtbot, window)
    opened = window.session.state.original
    assert opened is not None
    other = dataclasses.replace(opened.tac[0], target=2)
    change_audit(saved, lambda audit: with_tac(audit, other))
    writing.save(window.context, saved)
    wait_well(qtbot, window)
    state = window.session.state
    assert not state.modified
    assert state.original is not None
    assert state.audit is not None
    for found in (load_audit(saved), state.original, state.audit):
        assert [one.target for one in found.tac] == [opened.tac[0].target, 2]
    assert any("another program" in str(line) for line in state.log)


def test_neither_inputs_nor_devices_are_replaced(
    window: MainWindow, qtbot: QtBot, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_paths(qtbot, window, saved)
    model, pipe = saved.with_name("model.pth"), saved.with_name("pipe.html")
    os.mkfifo(pipe)
    before = model.read_bytes()
    for path, said in ((model, "is an input"), (pipe, "is not an ordinary file")):
        monkeypatch.setattr(window.context.ask, "where", lambda *_, path=path: path)
        for action in ("save_as", "report"):
            do(window, action)
            wait(qtbot, window)
            assert said in error_text(window)
    assert model.read_bytes() == before
    assert pipe.is_fifo()


def test_a_suffix_that_is_added_may_lead_to_another_file(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's dialog asks about the name that was typed."""
    (tmp_path / "notes.txt.h5").write_text("mine")
    monkeypatch.setattr(QFileDialog, "exec", lambda _: True)
    monkeypatch.setattr(QFileDialog, "selectedFiles", lambda _: [str(tmp_path / "notes.txt")])
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(window.context.ask, "confirm", no)
    assert window.context.ask.where("Save audit", "audit.h5", (".h5",)) is None
    assert len(asked) == 1
    assert "notes.txt.h5 exists" in asked[0]
