"""Jobs as the window sees them: canceled, queued, failing, still running when it closes."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from driving import do, error_text, find, open_paths, wait, wait_well
from PySide6.QtCore import QPoint
from pytestqt.qtbot import QtBot

from bdshift.jobs import Canceled, JobContext
from bdshift.words import Sentence
from bdshift_gui.actions.open_files import open_dropped
from bdshift_gui.jobs import controller
from bdshift_gui.main_window import MainWindow
from bdshift_gui.views.log import LogView

TIME = re.compile(r"\d\d:\d\d:\d\d  ")
"""At the beginning of a line of the log."""


def until_canceled(job: JobContext) -> None:
    while True:
        job.raise_if_canceled()
        threading.Event().wait(0.005)


class Keeping:
    """A job that keeps what it has: asked to stop, it measures that until it is asked again, or
    until ``measured`` is set.
    """

    def __init__(self) -> None:
        self.begun, self.ready = threading.Event(), threading.Event()
        self.measuring, self.measured = threading.Event(), threading.Event()

    def __call__(self, job: JobContext) -> str:
        self.begun.set()
        self.ready.wait(20)
        try:
            until_canceled(job)
        except Canceled:
            job.keep_result()
        self.measuring.set()
        while not self.measured.wait(0.005):
            job.progress("Measuring", 1, 2, "images")
        return "kept"


def running(window: MainWindow) -> tuple[str, bool]:
    """What the job's bar says, and whether Cancel can be clicked."""
    bar = window.welcome.job if window.welcome.isVisible() else window.job_bar
    assert bar.isVisible()
    assert bar._cancel.isEnabled() == window.actions_["cancel"].isEnabled()
    return bar._text.text(), bar._cancel.isEnabled()


# --- closing


def test_closing_while_a_job_runs_saves_nothing_and_starts_nothing(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.session.update(kept=None)
    opened.context.start("Waiting", until_canceled, lambda _: None)
    asked: list[str] = []

    def stay(question: str) -> bool:
        asked.append(question)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(opened.context.ask, "discard", stay)
        patch.setattr(opened.context.ask, "save_first", lambda _: "save")
        assert not opened.close()
    assert "A job is running, and the audit is not saved." in asked[0]
    job = opened.session.state.job
    assert job is not None
    assert job.cancels == 0, "it goes on"
    assert opened.close()


def test_a_job_that_does_not_stop_keeps_the_window_alive(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "_PATIENCE", 0.05)
    begun, wake = threading.Event(), threading.Event()

    def waiting(_: object) -> None:
        begun.set()
        wake.wait(20)

    window.context.start("Waiting", waiting, lambda _: None)
    assert begun.wait(20), "a job that has not begun would not keep the window"
    assert not window.close()
    assert running(window) == ("A job is still stopping; close again in a moment.", False)
    wake.set()
    wait(qtbot, window)
    assert not window.job_bar.isVisible()
    done: list[int] = []
    window.context.start("Counting", lambda _: 7, done.append)
    wait(qtbot, window)
    assert done == [7]


def test_closing_does_not_wait_for_what_a_job_would_keep(window: MainWindow, qtbot: QtBot) -> None:
    job = Keeping()
    job.ready.set()
    window.context.start("Keeping", job, lambda _: None, keeps=True)
    assert window.close()
    assert not job.measured.is_set()


# --- canceling


def test_the_second_cancel_keeps_nothing(window: MainWindow, qtbot: QtBot) -> None:
    job = Keeping()
    kept: list[str] = []
    job.ready.set()
    window.context.start("Keeping", job, kept.append, keeps=True)
    qtbot.waitUntil(job.begun.is_set)
    assert running(window) == ("Keeping …", True)
    do(window, "cancel")  # as Esc does
    assert running(window) == ("Canceling, keeping the best so far…", True)
    assert window.job_bar._cancel.text() == "Cancel"
    qtbot.waitUntil(job.measuring.is_set)
    window.job_bar._cancel.click()
    assert running(window) == ("Canceling…", False)
    wait(qtbot, window)
    assert kept == []
    assert window.message.text() == "Canceled; the result so far was not kept."


def test_two_cancels_at_once_keep_nothing_either(window: MainWindow, qtbot: QtBot) -> None:
    job = Keeping()
    kept: list[str] = []
    window.context.start("Keeping", job, kept.append, keeps=True)
    qtbot.waitUntil(job.begun.is_set)
    do(window, "cancel")
    do(window, "cancel")
    job.ready.set()
    wait(qtbot, window)
    assert kept == []


def test_one_cancel_keeps_the_result(window: MainWindow, qtbot: QtBot) -> None:
    job = Keeping()
    kept: list[str] = []
    job.ready.set()
    job.measured.set()
    window.context.start("Keeping", job, kept.append, keeps=True)
    qtbot.waitUntil(job.begun.is_set)
    do(window, "cancel")
    wait(qtbot, window)
    assert kept == ["kept"]


def test_a_job_that_keeps_nothing_is_canceled_once(window: MainWindow, qtbot: QtBot) -> None:
    window.context.start("Waiting", until_canceled, lambda _: None)
    window.job_bar._cancel.click()
    assert running(window) == ("Canceling…", False)
    wait(qtbot, window)
    assert window.message.text() == "Canceled; nothing was lost."


def test_while_nothing_else_is_to_be_seen_it_is_in_the_middle(
    window: MainWindow, qtbot: QtBot
) -> None:
    told = threading.Event()

    def counting(job: JobContext) -> None:
        job.progress("Embedding clean images", 1200, 2500, "images")
        told.set()
        until_canceled(job)

    middle = window.welcome.job
    assert middle.isHidden()
    window.context.start("Starting", until_canceled, lambda _: None, gives_way=True)
    assert window.job_bar.isVisible()
    assert middle.isHidden(), "it gives way to what is done here"
    button = window.welcome.buttons["open_model"]
    place = button.mapTo(window, QPoint())
    window.context.start("Scanning", counting, lambda _: None)
    qtbot.waitUntil(told.is_set)
    qtbot.waitUntil(lambda: "/" in middle._text.text())
    assert middle.isVisible()
    assert not window.job_bar.isVisible(), "one is enough"
    assert middle._text.text().startswith("Embedding clean images 1,200 / 2,500")
    assert middle._bar.value() / middle._bar.maximum() == 1200 / 2500
    assert button.mapTo(window, QPoint()) == place, "nothing jumps"
    middle._cancel.click()
    wait(qtbot, window)
    assert middle.isHidden()
    assert window.message.text() == "Canceled; nothing was lost."


# --- failing and queued


def test_a_result_that_cannot_be_shown_ends_the_job_with_an_error(
    window: MainWindow, qtbot: QtBot
) -> None:
    def done(_: None) -> None:
        raise ValueError("no such view")

    window.context.start("Counting", lambda _: None, done)
    wait(qtbot, window)
    assert not window.job_bar.isVisible()
    assert error_text(window) == "internal error: ValueError: no such view"
    failure = window.session.state.failure
    assert failure is not None
    assert "Traceback" in failure.details


def test_an_error_stays_until_something_else_is_started(
    window: MainWindow, qtbot: QtBot, signs: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.pth").write_bytes(b"<!doctype html>")
    open_paths(qtbot, window, tmp_path / "model.pth", signs)
    assert window.session.state.images is not None
    assert "is a web page" in error_text(window)
    open_dropped(window.context, [signs])
    assert not window.error.isVisible()
    wait(qtbot, window)


def test_cancel_drops_the_files_in_the_queue(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path
) -> None:
    open_dropped(window.context, [victim, signs])
    qtbot.waitUntil(lambda: window.session.state.to_open == (signs,))
    do(window, "cancel")
    wait(qtbot, window)
    qtbot.wait(100)
    state = window.session.state
    assert (state.model, state.images, state.busy) == (None, None, False)


# --- the log


def test_the_log_is_saved_with_times(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not window.actions_["save_log"].isEnabled()
    window.session.update(log=window.session.state.logged(Sentence("first\nsecond")))
    path = tmp_path / "mine.log"
    monkeypatch.setattr(window.context.ask, "where", lambda *_: path)
    do(window, "save_log")
    wait_well(qtbot, window)
    first, second = path.read_text().splitlines()
    assert TIME.match(first)
    assert first[10:] == "first"
    assert second == " " * 10 + "second"


# --- languages


def test_what_is_said_follows_the_language(window: MainWindow, qtbot: QtBot) -> None:
    def run(job: JobContext) -> None:
        job.note("The embeddings are in the cache")
        job.figures(0, 3, {"loss": 0.5})
        until_canceled(job)

    window.context.start(Sentence("Scanning"), run, lambda _: None)
    qtbot.waitUntil(lambda: len(window.session.state.log) == 3)
    log = find(window, LogView)
    shown = log.toPlainText().splitlines()
    assert all(TIME.match(line) for line in shown)
    assert [line[10:] for line in shown] == [
        "Scanning", "  The embeddings are in the cache", "  step 1 of 3: loss 0.5"
    ]  # fmt: skip
    do(window, "ja")
    assert running(window)[0] == "スキャンしています …"
    assert log.toPlainText().splitlines()[2][10:] == "  ステップ 1/3：損失 0.5"
    assert [line[:8] for line in log.toPlainText().splitlines()] == [line[:8] for line in shown]
    do(window, "cancel")
    wait(qtbot, window)
    assert window.message.text() == "中止しました。失われたものはありません。"
    do(window, "en")
    assert window.message.text() == "Canceled; nothing was lost."
    assert log.toPlainText().splitlines()[-1][10:] == "Canceled; nothing was lost."
