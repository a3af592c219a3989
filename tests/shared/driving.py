"""Drives the window in tests: opens, waits, finds views and dialogs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from PySide6.QtWidgets import QDialog
from pytestqt.qtbot import QtBot
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.recovery.recovery import Recovery
from bdshift_gui.action import all_actions
from bdshift_gui.actions.open_files import open_dropped
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.recovering import show, take
from bdshift_gui.view import View
from bdshift_gui.workspace import Workspace

_View = TypeVar("_View", bound=View)
_Dialog = TypeVar("_Dialog", bound=QDialog)

PATIENCE = 120_000  # milliseconds


def wait(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until nothing is running or queued, on the worker or in the quick pool."""

    def over() -> bool:
        state = window.session.state
        return not (state.job or state.busy or state.to_search) and window.quick.idle

    qtbot.waitUntil(over, timeout=PATIENCE)


def wait_well(qtbot: QtBot, window: MainWindow) -> None:
    """Do the same, and assert that nothing failed."""
    wait(qtbot, window)
    failure = window.session.state.failure
    assert failure is None, f"{failure.sentence}\n{failure.details}"


def open_paths(qtbot: QtBot, window: MainWindow, *paths: Path) -> None:
    """Open files as if they were dropped on the window, and wait for all jobs."""
    open_dropped(window.context, paths)
    wait(qtbot, window)


def do(window: MainWindow, key: str) -> None:
    """Run an action, by key."""
    next(one for one in all_actions() if one.key == key).trigger(window.context)


def workspace(window: MainWindow) -> Workspace:
    assert window.work is not None
    return window.work


def find(window: MainWindow, kind: type[_View]) -> _View:
    """The window's view of a kind."""
    one = workspace(window)[kind.key]
    assert isinstance(one, kind)
    return one


def dialog(qtbot: QtBot, window: MainWindow, kind: type[_Dialog]) -> _Dialog:
    """The dialog of a kind, once it is open and has finished its checks."""

    def visible() -> Iterable[_Dialog]:
        return [one for one in window.findChildren(kind) if one.isVisible()]

    qtbot.waitUntil(lambda: bool(visible()), timeout=PATIENCE)
    qtbot.waitUntil(lambda: window.quick.idle, timeout=PATIENCE)
    (found,) = visible()
    return found


def audit_of(window: MainWindow) -> Audit:
    """The audit that is shown."""
    audit = window.session.state.audit
    assert audit is not None
    return audit


def error_text(window: MainWindow) -> str:
    """What the error bar says."""
    assert window.error.isVisible()
    return window.error.text.text()


def recovered(window: MainWindow) -> Recovery:
    """Add a recovered trigger to the audit, and show it. No other trigger is known."""
    original = window.session.state.original
    assert original is not None
    found = made_recovery(original)
    take(window.context, with_recovery(replace(original, tac=()), found))
    show(window.context, 1)
    return found
