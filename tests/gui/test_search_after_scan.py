"""The second stage of a scan, which starts by itself and makes way for everything else."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from driving import dialog, do, find, open_paths, wait, wait_well
from known import STICKER
from pytestqt.qtbot import QtBot
from quick import shorten_searches

from bdshift.audit import ScanSettings, scan
from bdshift.budgets import SCAN_SECONDS
from bdshift.detect.detector import Evidence, Subject
from bdshift.detect.image_search import ImageSearch
from bdshift.detect.inversion import InversionDetector, InvertedChanges
from bdshift.detect.pair_inversion import PairChanges, PairInversion
from bdshift.jobs import JobContext
from bdshift_gui.actions.search import SEARCH
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.session import Corrections
from bdshift_gui.tasks.searching import follow_scan, search_next
from bdshift_gui.views.finding import FindingView

RUNS = "So far only the embedding was judged."


def made_up(one: ImageSearch, classes: int) -> Evidence:
    """What a search may find: the last class but two needs a tenth of the others'."""
    sizes = np.linspace(90, 110, 3 * classes).reshape(classes, 3)
    sizes[-3] /= 10
    nothing = np.zeros((classes, 3, 1, 1), np.uint8)
    found = InvertedChanges(sizes, np.full(classes, 0.9), nothing, nothing[:, 0])
    if isinstance(one, PairInversion):
        found = PairChanges(
            **vars(found), sources=np.full(classes, -1), pairs=np.zeros((0, 2), np.int64),
            pair_sizes=np.zeros((0, 2)),
        )  # fmt: skip
    return Evidence(one.spec, sizes[:, 1].copy(), record=found)


class Gate:
    """Holds every search until it is let through, and then makes up what it finds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self._let = threading.Event(), threading.Semaphore(0)
        self.searched: list[str] = []

        def held(one: ImageSearch, subject: Subject, job: JobContext) -> Evidence:
            self.reached.set()
            while not self._let.acquire(timeout=0.005):
                job.raise_if_canceled()
            self.searched.append(one.name)
            return made_up(one, len(subject.weight))

        for kind in (InversionDetector, PairInversion):
            monkeypatch.setattr(kind, "detect", held)

    def open(self, count: int = 100) -> None:
        """Let the next ``count`` searches through."""
        self._let.release(count)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    shorten_searches(monkeypatch)  # so that several fit into the budget
    found = Gate(monkeypatch)
    yield found
    found.open()


@pytest.fixture
def searching(opened: MainWindow, qtbot: QtBot, gate: Gate) -> MainWindow:
    """A window whose audit is being searched, as after a scan."""
    opened.session.update(compares=True)
    follow_scan(opened.context)
    opened.context.start("Scanning", lambda _: None, lambda _: None)  # the next job is the search
    qtbot.waitUntil(gate.reached.is_set)
    return opened


def test_a_scan_is_followed_by_a_search(
    window: MainWindow, qtbot: QtBot, gate: Gate, victim: Path, signs: Path
) -> None:
    open_paths(qtbot, window, victim, signs)
    window.session.update(compares=True, corrections=Corrections(normalize="half"))
    do(window, "scan")
    qtbot.waitUntil(gate.reached.is_set, timeout=60_000)
    view = find(window, FindingView)
    assert view.isVisible()
    assert view.title.text() == "Probably backdoored", "what the first stage says"
    assert view.running.text().startswith(RUNS)
    assert view.next.objectName() == "", "nothing has to be pressed now"
    assert view.why_next.text().startswith("You need not do anything meanwhile")
    assert not view.search.isVisible()
    assert "Only the embedding" not in view.cautions.text(), "it is not said besides"
    assert window.job_bar.isVisible()
    assert not window.session.state.busy
    gate.open()
    wait_well(qtbot, window)
    assert not view.running.isVisible()
    assert view.next.objectName() == "primary"
    assert view.why_next.text().startswith("Next: ")
    assert window.message.text().startswith("Searched for triggers: ")
    audit = window.session.state.original
    assert audit is window.session.state.audit
    assert audit is not None
    by_command = scan(victim, signs, ScanSettings(normalize="half", search=SCAN_SECONDS))
    assert audit.settings == by_command.settings
    assert audit.finding == by_command.finding
    assert audit.verdict is not None
    assert by_command.verdict is not None
    assert audit.verdict.standing == by_command.verdict.standing


def test_everything_else_goes_first(searching: MainWindow, qtbot: QtBot, gate: Gate) -> None:
    began, go = threading.Event(), threading.Event()

    def other(_: JobContext) -> int:
        began.set()
        go.wait(20)
        return 7

    done: list[int] = []
    assert searching.actions_["purify"].isEnabled()
    assert searching.actions_["recover"].isEnabled()
    searching.context.start("Counting", other, done.append)
    qtbot.waitUntil(began.is_set, timeout=5000)
    assert searching.session.state.busy
    assert find(searching, FindingView).running.isVisible(), "it goes on afterward"
    gate.reached.clear()
    go.set()
    qtbot.waitUntil(gate.reached.is_set)
    assert done == [7]
    gate.open()
    wait_well(qtbot, searching)
    audit = searching.session.state.audit
    assert audit is not None
    assert audit.is_searched
    log = [str(one) for one in searching.session.state.log]
    at = log.index("  interrupted")
    assert log[at + 1 : at + 3] == ["Counting", "Searching for triggers"]


def test_kinds_that_are_finished_are_not_searched_for_again(
    searching: MainWindow, qtbot: QtBot, gate: Gate
) -> None:
    gate.open(1)
    qtbot.waitUntil(lambda: len(gate.searched) == 1)
    searching.context.start("Counting", lambda _: None, lambda _: None)
    gate.open()
    wait_well(qtbot, searching)
    assert len(set(gate.searched)) == len(gate.searched) > 1


def test_cancel_keeps_the_first_stage(searching: MainWindow, qtbot: QtBot) -> None:
    view, before = find(searching, FindingView), searching.session.state.audit
    searching.job_bar._cancel.click()
    qtbot.waitUntil(lambda: searching.session.state.job is None, timeout=5000)
    wait(qtbot, searching)
    qtbot.wait(50)
    assert searching.session.state.job is None, "it does not start again"
    assert searching.session.state.audit is before
    assert not view.running.isVisible()
    assert view.search.isVisible()
    assert view.search.isEnabled()
    assert "“Compare with clean models” searches." in view.cautions.text()


def test_what_was_canceled_besides_does_not_end_it(
    searching: MainWindow, qtbot: QtBot, gate: Gate
) -> None:
    def until_canceled(job: JobContext) -> None:
        while True:
            job.raise_if_canceled()

    searching.context.start("Waiting", until_canceled, lambda _: None)
    gate.reached.clear()
    do(searching, "cancel")
    qtbot.waitUntil(gate.reached.is_set)
    assert searching.session.state.to_search


def test_another_model_is_opened_at_once(
    searching: MainWindow, qtbot: QtBot, gate: Gate, victim: Path
) -> None:
    open_paths(qtbot, searching, victim)
    qtbot.wait(50)
    state = searching.session.state
    assert (state.audit, state.job, state.to_search) == (None, None, False)
    assert gate.searched == []


def test_a_dialog_that_is_open_meanwhile_still_counts(
    searching: MainWindow, qtbot: QtBot, gate: Gate
) -> None:
    do(searching, "trigger")
    asked = dialog(qtbot, searching, TriggerDialog)
    before = searching.session.state.original
    gate.open()
    wait_well(qtbot, searching)
    assert searching.session.state.original is not before
    asked.chosen.emit(STICKER.replace("row=20", "row=9"))
    wait_well(qtbot, searching)
    asked.close()
    audit = searching.session.state.audit
    assert audit is not None
    assert audit.is_searched
    assert len(audit.tac) == 2


def test_nothing_follows_if_it_is_turned_off_or_there_already(
    opened: MainWindow, qtbot: QtBot, gate: Gate
) -> None:
    action = opened.actions_["search_after_scans"]
    assert not action.isChecked()
    follow_scan(opened.context)
    assert not opened.session.state.to_search
    action.trigger()
    assert action.isChecked()
    assert opened.settings.compares
    follow_scan(opened.context)
    assert opened.session.state.to_search
    opened.session.update(to_search=0.0)
    gate.open()
    do(opened, "search")
    wait_well(qtbot, opened)
    follow_scan(opened.context, again=True)
    assert not opened.session.state.to_search, "it is searched"
    assert not SEARCH.enabled(opened.session.state)


def test_a_network_that_is_too_large_is_searched_if_that_is_asked_for(
    opened: MainWindow, qtbot: QtBot, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_stage = importlib.import_module("bdshift.audit.second_stage")
    monkeypatch.setattr(
        second_stage, "affordable_passes", lambda _, seconds, precision: seconds / 100
    )
    asked: list[str] = []
    answers = iter((False, True))

    def confirm(question: str) -> bool:
        asked.append(question)
        return next(answers)

    monkeypatch.setattr(opened.context.ask, "confirm", confirm)
    follow_scan(opened.context, again=True)  # by itself, it asks nothing
    search_next(opened.context)
    wait_well(qtbot, opened)
    state = opened.session.state
    assert gate.searched == asked == []
    assert state.audit is not None
    assert not state.audit.is_searched
    assert "a search for one kind of change takes some" in opened.message.text()
    assert find(opened, FindingView).search.isVisible()
    do(opened, "search")
    wait_well(qtbot, opened)
    assert gate.searched == []
    do(opened, "search")
    qtbot.waitUntil(gate.reached.is_set)
    assert opened.session.state.job is not None
    assert opened.job_bar.isVisible()
    assert not SEARCH.enabled(opened.session.state)
    assert opened.session.state.to_search > SCAN_SECONDS, "kept while others go first"
    gate.open()
    wait_well(qtbot, opened)
    assert gate.searched == ["mask"]
    assert len(asked) == 2
    assert asked[0] == asked[1]
    audit = opened.session.state.audit
    assert audit is not None
    assert audit.is_searched
    assert audit.settings.search > SCAN_SECONDS
