"""Short tasks off the GUI thread: of those that are asked again, only the last counts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from bdshift.audit.unfinished import Unfinished
from bdshift_gui.jobs.quick import QuickPool
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.purifying import settle


def hold(pool: QuickPool) -> threading.Event:
    """Give all threads something to do until the event is set."""
    started, go_on = threading.Barrier(3), threading.Event()

    def hang() -> None:
        started.wait(20)
        go_on.wait(20)

    for key in ("first", "second"):
        pool.ask(key, hang, lambda _: None)
    started.wait(20)
    return go_on


def test_an_obsolete_question_is_not_run(qtbot: QtBot) -> None:
    pool, ran, said = QuickPool(), list[int](), list[int]()
    go_on = hold(pool)
    for number in range(5):

        def run(number: int = number) -> int:
            ran.append(number)
            return number

        pool.ask("typed", run, said.append)
    go_on.set()
    qtbot.waitUntil(lambda: pool.idle)
    pool.close()
    assert ran == [4]
    assert said == [4]


def test_all_that_was_saved_is_deleted(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, gone = [tmp_path / "a", tmp_path / "b"], list[Path]()
    monkeypatch.setattr(Unfinished, "forget", lambda _, path: gone.append(path))
    go_on = hold(window.quick)
    for path in paths:
        window.session.update(pending=(path,))
        settle(window.context)
    go_on.set()
    qtbot.waitUntil(lambda: window.quick.idle)
    assert sorted(gone) == paths
