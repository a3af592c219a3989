"""What must not be lost, mixed up or left behind, however jobs and questions end."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from driving import audit_of, error_text, find, wait
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QPlainTextEdit
from pytestqt.qtbot import QtBot

from bdshift.audit.gallery import CLEAN
from bdshift.jobs import JobContext, JobPart, Progress
from bdshift.words import Sentence
from bdshift_gui.action import all_actions
from bdshift_gui.actions.scan import scan_corrected
from bdshift_gui.app import _InternalErrors
from bdshift_gui.dialogs.prompts import PromptsDialog
from bdshift_gui.gallery_wish import Heat
from bdshift_gui.jobs.estimate import Estimate
from bdshift_gui.jobs.events import Failed
from bdshift_gui.main_window import MainWindow
from bdshift_gui.pages import PurificationsPage
from bdshift_gui.tasks.scanning import SCANNING
from bdshift_gui.unsaved import may_close, may_replace
from bdshift_gui.views.classes import ClassView
from bdshift_gui.views.inspector import InspectorView
from bdshift_gui.views.purifications import PurificationsView


def forever(job: JobContext) -> None:
    while True:
        job.raise_if_canceled()


def test_an_error_at_every_paint_is_shown_once(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It called itself until the process crashed."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    errors = _InternalErrors(opened)
    painted: list[int] = []

    def broken(*_: object) -> None:
        painted.append(1)
        error = ValueError("a view is broken")
        errors._hook(ValueError, error, None)

    opened.session.changed.connect(broken)
    opened.session.update(message=Sentence("Scanning"))
    qtbot.waitUntil(lambda: opened.session.state.failure is not None)
    QApplication.processEvents()
    opened.session.changed.disconnect(broken)
    assert len(painted) <= 3
    assert "a view is broken" in error_text(opened)


def test_code_of_the_user_that_exits_ends_its_job(opened: MainWindow, qtbot: QtBot) -> None:
    opened.context.start("Waiting", lambda _: sys.exit(2), lambda _: None)
    qtbot.waitUntil(lambda: not opened.session.state.busy)
    failure = opened.session.state.failure
    assert failure is not None
    assert "SystemExit" in failure.details


def test_closing_asks_before_a_job_is_lost(
    opened: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def stay(text: str) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr(opened.context.ask, "discard", stay)
    assert not opened.session.state.modified
    assert may_close(opened.context)
    assert not asked
    opened.context.start("Writing the report", forever, lambda _: None)
    assert not may_close(opened.context)
    assert "A job is running" in asked[0]
    opened.context.cancel()
    wait(qtbot, opened)


def test_further_evidence_is_not_replaced_without_a_question(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map of the pairs of many classes takes long, and is no search."""
    asked: list[str] = []

    def stay(text: str) -> str:
        asked.append(text)
        return "stay"

    monkeypatch.setattr(opened.context.ask, "save_first", stay)
    audit = audit_of(opened)
    alone = replace(audit, tac=(), evidence=audit.evidence[:1])
    opened.session.update(original=alone, audit=alone, kept=None)
    assert may_replace(opened.context, lambda: None)
    more = replace(alone, evidence=(*alone.evidence, *alone.evidence))
    opened.session.update(original=more)
    assert not may_replace(opened.context, lambda: None)
    assert "searches" in asked[0]
    opened.session.update(kept=more)


def test_maps_are_drawn_over_the_images_they_are_of(opened: MainWindow) -> None:
    view, state = find(opened, InspectorView), opened.session.state
    assert state.tac is not None
    neurons = view._looked_at()

    def heat(which: tuple[str, int]) -> Heat:
        return Heat(which, neurons, (0,), np.zeros((1, 4, 4), np.float32), "pooled")

    own, other = (state.tac.trigger, state.tac.target), ("badnets:size=9", state.tac.target)
    opened.session.update(maps=(heat((CLEAN, -1)), heat(other)))
    clean, triggered = view._maps()
    assert clean is not None
    assert triggered is None, "those are of another trigger"
    opened.session.update(maps=(heat((CLEAN, -1)), heat(own)))
    assert view._maps()[1] is not None


def test_only_a_scan_is_scanned_again_where_memory_ran_out(opened: MainWindow) -> None:
    retry = next(one for one in all_actions() if one.key == "scan_smaller")
    for name, offered in ((SCANNING, True), (Sentence("Purifying"), False)):
        failed = Failed(1, Sentence("Out of memory."), "", "memory", name=name)
        opened.session.update(failure=failed)
        assert retry.enabled(opened.session.state) == offered
    opened.session.update(failure=None)


def test_a_correction_is_not_kept_if_the_user_stays(
    opened: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = audit_of(opened)
    opened.session.update(kept=None, original=audit, audit=audit)
    monkeypatch.setattr(opened.context.ask, "save_first", lambda _: "stay")
    before = opened.session.state.corrections
    scan_corrected(opened.context, normalize="half")
    assert opened.session.state.corrections == before
    assert not opened.session.state.busy
    opened.session.update(kept=opened.session.state.original)


def test_only_the_left_button_selects_a_class(opened: MainWindow) -> None:
    view = find(opened, ClassView)
    place = view.plot.vb.mapViewToScene(QPointF(3, 0.1))

    def click(button: Qt.MouseButton) -> int | None:
        view._clicked(SimpleNamespace(button=lambda: button, scenePos=lambda: place))
        return opened.session.state.selection.class_index

    before = opened.session.state.selection.class_index
    assert click(Qt.MouseButton.RightButton) == before
    assert click(Qt.MouseButton.LeftButton) != before


def test_a_purification_is_chosen_by_keyboard(purified: MainWindow) -> None:
    purified.session.update(page=PurificationsPage(), chosen=1)
    view = find(purified, PurificationsView)
    card = view.cards[1]
    assert card.focusPolicy() == Qt.FocusPolicy.StrongFocus
    assert card.accessibleName().startswith("2 · ")
    QTest.keyClick(card, Qt.Key.Key_Space)
    assert purified.session.state.chosen == 2


def test_templates_that_are_replaced_come_back(qtbot: QtBot) -> None:
    dialog = SimpleNamespace(text=QPlainTextEdit())
    qtbot.addWidget(dialog.text)
    dialog.text.insertPlainText("my own {}")
    PromptsDialog._replace(dialog, "a photo of {}")  # type: ignore[arg-type]
    assert dialog.text.toPlainText() == "a photo of {}"
    dialog.text.undo()
    assert dialog.text.toPlainText() == "my own {}"


def test_menus_of_a_table_go_with_them(opened: MainWindow) -> None:
    table = find(opened, ClassView).table
    before = len(table.findChildren(QMenu))
    for _ in range(3):
        menu = table.menu()
        menu.deleteLater()
    QApplication.sendPostedEvents(None, 52)  # deferred deletions
    assert len(table.findChildren(QMenu)) == before


def test_what_follows_the_last_part_is_none_of_it() -> None:
    estimate = Estimate()
    estimate.begin(JobPart(7, 7))
    estimate.take(Progress(Sentence("Searching"), 1, 2, "steps"), 1.0)
    assert estimate.share == pytest.approx(6.5 / 7)
    estimate.begin(None)
    assert estimate.part is None
    estimate.take(Progress(Sentence("Measuring"), 1, 4, "images"), 2.0)
    assert estimate.share == 0.25
