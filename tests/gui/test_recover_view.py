"""From the finding to a recovered trigger, in the window."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from driving import dialog, do, find, recovered, wait, wait_well
from known import TARGET
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot
from recovered import made_recovery

from bdshift.audit import Audit, Material
from bdshift.changes import CHANGES
from bdshift.jobs import Glimpse, JobContext
from bdshift.recovery.recovery import Recovery
from bdshift.recovery.tried import last_recovery
from bdshift.words import Sentence
from bdshift_gui.dialogs.recover import RecoverDialog
from bdshift_gui.jobs.events import Glimpsed, Progressed
from bdshift_gui.jobs.worker import WindowJob, Worker
from bdshift_gui.main_window import MainWindow
from bdshift_gui.pages import RecoveryPage
from bdshift_gui.session import RecoveryRequest
from bdshift_gui.tasks import recovering, writing
from bdshift_gui.tasks.showing import show_audit
from bdshift_gui.views.finding import FindingView
from bdshift_gui.views.recoveries_card import RecoveriesCard
from bdshift_gui.views.recovery import RecoveryView
from bdshift_gui.widgets.class_sizes import ClassSize, ClassSizes, round_sizes
from bdshift_gui.widgets.thumbs import as_image

AUTO = RecoveryRequest(None, "", 60.0, 0)


def glimpse(step: int = 1, total: int = 100, classes: int = 12, side: int = 32) -> Glimpse:
    """A search that has found a small change for the demo's target."""
    sizes = np.linspace(40, 90, classes).astype(np.float32)
    sizes[min(TARGET, classes - 1)] = 5
    sizes[0] = np.inf
    return Glimpse(
        "mask", step, total, np.arange(classes), sizes, np.full(classes, 0.9, np.float32),
        np.full((classes, 3, side, side), 128, np.uint8), np.zeros((classes, side, side), np.uint8),
    )  # fmt: skip


@dataclass
class FakeSearch:
    """Stands for the search: reports glimpses until it may end, and finds the demo's sticker."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    may_end: threading.Event = field(default_factory=threading.Event)
    steps: int = 0

    def __call__(
        self, audit: Audit, material: Material, target: int | None = None, kind: Any = None, *,
        budget: float | None = 60, source: int | None = None, seed: int = 0, device: str = "auto",
        resume: Path, job: JobContext,
    ) -> Recovery:  # fmt: skip
        resume.parent.mkdir(parents=True, exist_ok=True)
        resume.touch()
        self.asked.append((target, kind, budget, seed, source))
        assert material.classifier.classes == audit.model.classes
        while not self.may_end.is_set():
            self.steps += 1
            job.progress("Scanning", self.steps, 10**6, "steps")
            job.report(glimpse(self.steps, 10**6))
            time.sleep(0.002)
        job.report(glimpse(100, 100))
        return made_recovery(audit)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSearch]:
    found = FakeSearch()
    module = ModuleType("bdshift.audit.recovering")
    monkeypatch.setattr(module, "recover_trigger", found, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield found
    found.may_end.set()


@pytest.fixture(autouse=True)
def own_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Recovered triggers are kept among the user's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def figures(view: RecoveryView) -> dict[str, str]:
    return {
        key.text(): value.text() for key, value in view.rows._shown if not key.isHidden()
    }  # fmt: skip


# --- asking


def test_it_is_the_next_step_after_a_verdict(
    opened: MainWindow, qtbot: QtBot, search: FakeSearch, tmp_path: Path
) -> None:
    original = opened.session.state.original
    assert original is not None
    show_audit(opened.context, replace(original, tac=(replace(original.tac[0], asr=0.0),)))
    button = find(opened, FindingView).next
    assert button.isEnabled()
    assert button.objectName() == "primary"
    button.click()
    asked = dialog(qtbot, opened, RecoverDialog)
    assert "speed_80" in asked.target.currentText()
    asked.target.setCurrentIndex(asked.target.findData(3))
    asked.kind.setCurrentIndex(asked.kind.findData("mask"))
    assert asked.budget.text() == "about 60 s", "it is no promise"
    asked.budget.setValue(7)
    asked.seed.setValue(5)
    asked.source.setCurrentIndex(asked.source.findData(3))
    assert not asked.start.isEnabled(), "from a class to itself"
    asked.source.setCurrentIndex(asked.source.findData(4))
    assert asked.start.isEnabled()
    search.may_end.set()
    asked.start.click()
    wait_well(qtbot, opened)
    assert search.asked == [(3, CHANGES.parse("mask"), 7.0, 5, 4)]
    assert button.text() == "Purify…", "it has been taken"
    assert last_recovery().exists(), "the audit is in no file yet"
    writing.save(opened.context, tmp_path / "b.h5")
    wait_well(qtbot, opened)
    assert not last_recovery().exists()


def test_the_dialog_offers_every_kind_and_lets_them_compete(
    opened: MainWindow, qtbot: QtBot, search: FakeSearch
) -> None:
    do(opened, "recover")
    asked = dialog(qtbot, opened, RecoverDialog)
    offered = [asked.kind.itemData(row) for row in range(asked.kind.count())]
    assert offered == ["", *(one.name for one in CHANGES.kinds())]
    chosen: list[RecoveryRequest] = []
    asked.chosen.disconnect()
    asked.chosen.connect(chosen.append)
    asked.start.click()
    asked.source.setCurrentIndex(1)
    asked.start.click()
    assert chosen == [AUTO, replace(AUTO, source=-1)]


# --- while it runs


def test_the_search_can_be_watched(opened: MainWindow, qtbot: QtBot, search: FakeSearch) -> None:
    recovering.recover(opened.context, AUTO)
    view = find(opened, RecoveryView)
    qtbot.waitUntil(lambda: opened.session.state.glimpse is not None, timeout=60_000)
    assert view.isVisible()
    assert "speed_80" in view.heading.text()
    first, *others = view.classes.rows
    assert (first.index, first.size) == (TARGET, 5.0)
    assert [one.size for one in others] == sorted(one.size for one in others)
    assert math.isinf(others[-1].size), "what was not reached comes last"
    assert figures(view)["Smallest size"] == "5"
    view.classes.picked.emit(3)
    assert view.trigger.title.text() == others[2].name == "keep_right"
    do(opened, "close_page")
    assert not view.isVisible()
    find(opened, RecoveriesCard)._running.show_it.click()
    assert view.isVisible()
    search.may_end.set()
    wait_well(qtbot, opened)
    assert opened.session.state.recovery == 1
    assert opened.message.text().startswith("Recovered a trigger for “speed_80” in ")


def test_kinds_that_compete_are_remembered(opened: MainWindow) -> None:
    """The class that is lowest in a worse kind is not accused."""
    view, session = find(opened, RecoveryView), opened.session
    session.update(recovering=AUTO, page=RecoveryPage(0))
    assert view.verdict.text() == "What the search finds appears here while it runs."
    listen = opened._listener._happened
    stage = Sentence("Trying starting points: {kind}", {"kind": "Mask and pattern"})
    listen(Progressed(0, stage, 1, 40, "changes", None, 0.0))
    assert view.sentence.text() == "Trying starting points: Mask and pattern"

    def found(kind: str, *sizes: float) -> None:
        made = replace(glimpse(100, classes=4), kind=kind, targets=np.array([TARGET, 0, 1, 2]),
                       sizes=np.array(sizes, np.float32))  # fmt: skip
        listen(Glimpsed(0, made))

    found("mask", math.inf, 99, 80, 70)
    assert view.verdict.text() == ""
    assert figures(view)["Smallest size"] == "not reached yet"
    found("mask", 14.1, 99, 61.8, 70)
    best = "Best so far: Mask and pattern, 14.1 for “speed_80”, others 61.8 and more."
    assert view.verdict.text() == best
    assert not view._by_kind.isVisible()
    found("warp", 4.98, 2.06, 5, 6)
    assert view.verdict.text() == best
    assert view.listed.title.text() == "Warp: smallest change so far, by class"
    assert view._by_kind.isVisible()
    rows = [value.accessibleName() for _, value in view.kinds._shown]
    assert rows == ["Mask and pattern: 5 times"]
    assert "suspicious" not in view.verdict.text() + view.sentence.text()
    session.update(recovering=None, page=None, glimpse=None)
    session.update(recovering=AUTO, page=RecoveryPage(0))
    found("warp", 4.98, 2.06, 5, 6)
    assert view.verdict.text().startswith("So far, “speed_80” needs no smaller change")
    assert not view._by_kind.isVisible(), "of another search"
    session.update(recovering=None, page=None, glimpse=None)


def test_glimpses_are_throttled_and_the_last_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of a hundred steps a second."""
    now = [1000.0]
    monkeypatch.setattr("bdshift_gui.jobs.worker.time.monotonic", lambda: now[0])
    worker, came = Worker(), list[int]()

    def take(event: object) -> None:
        assert isinstance(event, Glimpsed)
        came.append(event.glimpse.step)

    worker.event_happened.connect(take)
    job = WindowJob(worker, 1)
    for step in range(1, 101):
        now[0] += 0.01
        job.report(glimpse(step))
    assert came[0] == 1
    assert came[-1] == 100
    assert 5 <= len(came) <= 10


def test_canceled_it_keeps_nothing_and_loses_nothing(
    opened: MainWindow, qtbot: QtBot, search: FakeSearch
) -> None:
    first = recovered(opened)
    before = opened.session.state.original
    recovering.recover(opened.context, AUTO)
    qtbot.waitUntil(lambda: opened.session.state.glimpse is not None, timeout=60_000)
    do(opened, "cancel")
    wait_well(qtbot, opened)
    state = opened.session.state
    assert (state.original, state.recovering, state.glimpse) == (before, None, None)
    assert state.recovery is None
    assert state.recoveries[0] is first
    assert state.message is not None
    assert "nothing was lost" in str(state.message)
    assert last_recovery().exists(), "the same search goes on from there"


def test_another_one_can_be_read_meanwhile(
    opened: MainWindow, qtbot: QtBot, search: FakeSearch
) -> None:
    """Its images are not drawn again with every step of the search."""
    recovered(opened)
    view = find(opened, RecoveryView)
    recovering.recover(opened.context, AUTO)
    recovering.show(opened.context, 1)
    drawn: list[object] = []
    view.images.list.shots.modelReset.connect(lambda: drawn.append(1))
    qtbot.waitUntil(lambda: search.steps > 200, timeout=60_000)
    assert opened.session.state.glimpse is not None
    assert "Recovered" in view.heading.text()
    assert not drawn
    assert not view.buttons["save_trigger"].isEnabled()
    do(opened, "cancel")
    wait_well(qtbot, opened)
    assert opened.session.state.recovery == 1, "it is still being read"
    assert view.buttons["save_trigger"].isEnabled()


def test_a_thousand_classes_can_be_watched(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the rows that are seen are drawn."""
    audit = opened.session.state.original
    assert audit is not None
    names = tuple(f"class {i}" for i in range(1000))
    many = replace(audit, tac=(), images=replace(audit.images, class_names=names))
    opened.session.update(original=many, recovering=AUTO, page=RecoveryPage(0))
    view = find(opened, RecoveryView)
    drawn: list[object] = []

    def counted(pixels: NDArray[np.uint8]) -> QImage:
        drawn.append(pixels)
        return as_image(pixels)

    monkeypatch.setattr("bdshift_gui.widgets.class_sizes.as_image", counted)
    opened.session.update(glimpse=glimpse(classes=1000))
    view.classes.viewport().grab()
    assert 0 < len(drawn) < 100, "two pictures of each row that is seen"
    assert len(view.classes.rows) == 1000
    assert view.classes.rows[0].size == 5
    assert view.classes.verticalScrollBar().maximum() > 10_000
    opened.session.update(original=audit, recovering=None, page=None, glimpse=None)


def test_a_failure_is_said_and_closes_the_page(
    opened: MainWindow, qtbot: QtBot, search: FakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Recovery:
        raise MemoryError

    monkeypatch.setattr(sys.modules["bdshift.audit.recovering"], "recover_trigger", fail)
    recovering.recover(opened.context, AUTO)
    wait(qtbot, opened)
    assert opened.session.state.failure is not None
    assert opened.session.state.recovery is None
    assert opened.error.isVisible()


def test_a_row_says_everything_in_words(qtbot: QtBot) -> None:
    listed = ClassSizes()
    qtbot.addWidget(listed)
    rows = [ClassSize(0, "<b>a</b>", math.inf, 0.2), ClassSize(1, "b", 4.0, 0.9)]
    listed.show_sizes(rows, 1, "pixels")
    model = listed.model()
    about = [model.data(model.index(row, 0, QModelIndex()), Qt.ItemDataRole.ToolTipRole)
             for row in range(2)]  # fmt: skip
    assert about[0] == "b: 4 (pixels), 90.0% of the images · the class asked about"
    assert "no change of this kind works" in about[1]
    assert "<" not in about[1]


def test_sizes_are_where_they_are_on_the_axis(qtbot: QtBot) -> None:
    """Twice as large is as far away everywhere, and the words say how many times."""
    listed = ClassSizes()
    qtbot.addWidget(listed)
    rows = [ClassSize(0, "a", 2.0, 1), ClassSize(1, "b", 4.0, 1), ClassSize(2, "c", 8.0, 1)]
    listed.show_sizes(rows, -1, "pixels")
    scale = listed._painter
    places = [scale.at(one.size, 400) for one in rows]
    assert 0 < places[0] < places[2] < 400
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
    assert scale.ticks == [2, 5]
    assert scale._times(rows[0]) == ""
    assert scale._times(rows[2]) == " (× 4)"
    listed.show_sizes([ClassSize(0, "a", 5e-324, 1), ClassSize(1, "b", 1.7e308, 1)], 0, "pixels")
    assert all(math.isfinite(scale.at(one, 400)) for one in (*scale.ticks, 5e-324, 1.7e308))
    assert scale._times(listed.rows[1]) == " (× ∞)"
    listed.grab()
    for low, high in ((1.0, 2.0), (8.1, 16.3), (0.02, 700.0)):
        assert 2 <= len(round_sizes(low, high)) <= 15
