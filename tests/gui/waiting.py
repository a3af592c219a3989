"""Waiting for the window's worker."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from bdshift_gui.main_window import MainWindow


def wait(qtbot: QtBot, window: MainWindow) -> None:
    """Until no job runs."""
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=120_000)
