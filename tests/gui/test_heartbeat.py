"""The window keeps breathing while the worker scans."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from pytestqt.qtbot import QtBot

from bdshift_gui.main_window import MainWindow


class Pulse:
    """Longest time between two beats of a timer, in milliseconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, 1e3 * (now - self._last))
        self._last = now

    def stop(self) -> float:
        self._timer.stop()
        return self.longest


def test_the_window_does_not_stall_during_a_scan(
    window: MainWindow, qtbot: QtBot, victim: Path, signs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    idle = Pulse()
    qtbot.wait(500)
    resting = idle.stop()
    window.open(victim)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=60_000)
    window.open(signs)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=60_000)
    monkeypatch.setattr(window.auditor, "show_audit", lambda *_: None)  # that is drawing, not work
    window.auditor.scan()
    busy = Pulse()
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=120_000)
    working = busy.stop()
    print(f"longest stall: idle {resting:.0f} ms, during the scan {working:.0f} ms")
    assert working < resting + 500  # a shared machine; docs/window.md has the figure of a quiet one
