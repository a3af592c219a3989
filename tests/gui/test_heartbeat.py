"""The window stays alive while the worker scans; tools/heartbeat.py measures how long it stalls."""

from __future__ import annotations

from pathlib import Path

from driving import audit_of, open_paths, wait
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.scanning import scan


def test_the_window_goes_on_during_a_scan(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path
) -> None:
    open_paths(qtbot, window, victim, signs)
    beats: list[bool] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(window.session.state.busy))
    timer.start(5)
    scan(window.context)
    wait(qtbot, window)
    timer.stop()
    assert sum(beats) > 20, "events were handled while the job ran"
    assert audit_of(window).finding.level == "backdoored"
