"""What was asked for is checked again when the answer comes; what cannot be done is not offered."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from driving import audit_of, dialog, do, find, open_paths, recovered, wait, wait_well
from pytestqt.qtbot import QtBot

from bdshift.checkpoints.export import EXPORT_FORMS
from bdshift.jobs import JobContext
from bdshift.store import load_audit, save_audit
from bdshift_gui.actions.compare import COMPARE
from bdshift_gui.dialogs.purify import PurifyDialog
from bdshift_gui.dialogs.trigger import TriggerDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.showing import show_side
from bdshift_gui.views.purifications import PurificationsView
from bdshift_gui.views.shown_strip import ShownStrip


@pytest.fixture
def light(window: MainWindow, qtbot: QtBot, purified_file: Path, tmp_path: Path) -> MainWindow:
    """An audit of which the second purification has its weights and the first has not."""
    audit = load_audit(purified_file)
    first, second = audit.purifications
    first = replace(first, result=replace(first.result, weights=None))
    save_audit(replace(audit, purifications=(first, second)), tmp_path / "light.h5")
    open_paths(qtbot, window, tmp_path / "light.h5")
    return window


class Blocking:
    """A job that runs until ``end`` is set."""

    def __init__(self, window: MainWindow) -> None:
        self.end = threading.Event()
        window.context.start("Waiting", self, lambda _: None)

    def __call__(self, job: JobContext) -> None:
        self.end.wait(20)


# --- answers that come too late


@pytest.mark.parametrize("reason", ["busy", "another"])
def test_a_model_is_exported_only_as_it_was_asked(
    purified: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    out = tmp_path / "out.safetensors"
    safe = list(EXPORT_FORMS).index("safetensors")
    monkeypatch.setattr(purified.context.ask, "choice", lambda *_: safe)
    monkeypatch.setattr(purified.context.ask, "where", lambda *_: out)
    do(purified, "export_purified")
    if reason == "busy":
        Blocking(purified).end.set()
    else:
        original = purified.session.state.original
        assert original is not None
        purified.session.update(original=replace(original, purifications=()), chosen=0)
    wait_well(qtbot, purified)
    assert not out.exists()


def test_a_dialog_that_comes_too_late_does_not_come(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "purify")
    job = Blocking(opened)
    qtbot.waitUntil(lambda: opened.quick.idle)
    job.end.set()
    wait_well(qtbot, opened)
    assert not opened.findChildren(PurifyDialog)


def test_no_trigger_is_measured_while_a_job_runs(opened: MainWindow, qtbot: QtBot) -> None:
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    job = Blocking(opened)
    asked.measure.click()
    job.end.set()
    wait_well(qtbot, opened)
    assert len(audit_of(opened).tac) == 1


def test_what_was_recovered_for_another_class_does_not_come(
    opened: MainWindow, qtbot: QtBot
) -> None:
    found = recovered(opened)
    do(opened, "purify")
    asked = dialog(qtbot, opened, PurifyDialog)
    asked.target.setCurrentIndex(found.target - 1)
    wait(qtbot, opened)
    assert asked.unlearn.text() == ""
    asked.target.setCurrentIndex(found.target)
    asked.target.setCurrentIndex(found.target - 1)  # before the file is written
    wait(qtbot, opened)
    assert asked.unlearn.text() == ""
    asked.target.setCurrentIndex(found.target)
    wait(qtbot, opened)
    assert asked.unlearn.text() != ""
    asked.reject()


# --- triggers that this version cannot read


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        ("of-a-newer-version:size=4", "unknown trigger 'of-a-newer-version'"),
        ('badnets:color="ffd800', "a quote is not closed"),
        ("badnets:size=large", "size cannot be 'large'"),
        ("badnets:size=-3", "size is a whole number from 1"),
    ],
)
def test_a_trigger_that_cannot_be_read_is_said(
    opened: MainWindow, qtbot: QtBot, trigger: str, said: str
) -> None:
    audit = audit_of(opened)
    changed = replace(audit, tac=(replace(audit.tac[0], trigger=trigger),))
    opened.session.update(audit=changed, original=changed)
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    assert said in asked._unreadable.text()
    assert asked._unreadable.isVisible()
    assert asked.measure.isEnabled(), "the form is the usual one"
    asked.kind.setCurrentIndex(asked.kind.findData("sig"))
    assert not asked._unreadable.isVisible()
    asked.reject()


def test_an_option_of_a_newer_version_is_left_out(opened: MainWindow, qtbot: QtBot) -> None:
    audit = audit_of(opened)
    newer = replace(audit.tac[0], trigger="badnets:size=5,glow=3")
    opened.session.update(audit=replace(audit, tac=(newer,)))
    do(opened, "trigger")
    asked = dialog(qtbot, opened, TriggerDialog)
    assert asked.settings.text().startswith("badnets:size=5,color=")
    asked.reject()


# --- what cannot be done is not offered


def test_a_model_without_weights_is_not_exported(light: MainWindow) -> None:
    cards = find(light, PurificationsView).cards
    assert [card.buttons["export_purified"].isEnabled() for card in cards] == [False, True]
    for number, can in ((1, False), (2, True)):
        light.session.update(chosen=number)
        assert light.actions_["export_purified"].isEnabled() == can
        assert [card.buttons["export_purified"].isEnabled() for card in cards] == [False, True]


@pytest.mark.parametrize("what", ["victim", "signs"])
def test_nothing_is_undone_without_an_audit(
    opened: MainWindow, qtbot: QtBot, what: str, request: pytest.FixtureRequest
) -> None:
    opened.context.selection.select_neurons([1, 2])
    opened.context.selection.select_neurons([3])
    opened.actions_["undo"].trigger()
    assert opened.actions_["undo"].isEnabled()
    assert opened.actions_["redo"].isEnabled()
    open_paths(qtbot, opened, request.getfixturevalue(what))
    assert opened.session.state.audit is None
    assert not opened.actions_["undo"].isEnabled()
    assert not opened.actions_["redo"].isEnabled()


def test_the_strip_compares_as_the_action_does(purified: MainWindow, qtbot: QtBot) -> None:
    show_side(purified.context, 1)
    strip = find(purified, ShownStrip)
    assert strip.compare.text() == COMPARE.text
    job = Blocking(purified)
    assert not strip.compare.isEnabled()
    strip._compare()
    assert purified.session.state.comparing is None
    job.end.set()
    wait(qtbot, purified)
    strip.compare.click()
    assert purified.session.state.comparing == (0, 1)
