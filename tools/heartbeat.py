"""The window's longest stall: while torch is loaded after the first paint, and while it scans 2500
images with a full-width ResNet-18 on the CPU.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from bdshift_gui.app import start_loading
from bdshift_gui.fonts import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings
from bdshift_gui.tasks import scanning
from bdshift_gui.tasks.opening import open_images, open_model


class Pulse:
    """The times between ticks of a 5 ms timer, in milliseconds."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append(1e3 * (now - self._last))
        self._last = now

    def stop(self) -> list[float]:
        """Stop the timer; returns the times, shortest first."""
        self._timer.stop()
        return sorted(self.gaps)


def summary(gaps: list[float]) -> str:
    """The longest, and the 99th percentile."""
    return f"longest {gaps[-1]:.0f} ms, 99% below {gaps[int(0.99 * len(gaps))]:.0f} ms"


def main() -> None:
    app = QApplication([])
    load_fonts()
    window = MainWindow(Settings(fresh=True), Path("demo"))
    window.show()
    window.furnish()

    def live(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end or window.session.state.busy:
            app.processEvents()
            time.sleep(0.001)

    loading = Pulse()
    began = time.monotonic()
    start_loading(window.context)
    while window.session.state.job is not None:
        live(0.05)
    print(f"while torch loads for {time.monotonic() - began:.1f} s: {summary(loading.stop())}")
    from bdshift.bench.drawn import write_inputs

    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CACHE_HOME"] = name
        model, images = write_inputs(Path(name))
        open_model(window.context, model)
        live(0.5)
        open_images(window.context, images)
        live(0.5)
        scanning.show_audit = lambda *_: None  # type: ignore[attr-defined]  # drawing is not measured
        idle = Pulse()
        live(2)
        print("idle:", summary(idle.stop()))
        busy = Pulse()
        began = time.monotonic()
        scanning.scan(window.context)
        live(0.1)
        print(f"during a scan of {time.monotonic() - began:.0f} s: {summary(busy.stop())}")
    window.close()


if __name__ == "__main__":
    main()
