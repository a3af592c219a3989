"""Startup time of the window, compared with an empty PySide6 window: medians of 7 starts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

EMPTY = """
import sys, time; began = time.perf_counter()
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow
app = QApplication(sys.argv)
window = QMainWindow(); window.resize(1280, 800); window.show()
"""
OURS = """
import sys, time; began = time.perf_counter()
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from bdshift_gui.fonts import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings
app = QApplication(sys.argv); app.setStyle("Fusion"); load_fonts()
window = MainWindow(Settings(fresh=True), Path("demo")); window.show()
"""
PAINTED = """
app.processEvents(); window.repaint(); app.processEvents()
print(time.perf_counter() - began, flush=True)
import os; os._exit(0)
"""


def seconds(code: str) -> float:
    environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code + PAINTED], capture_output=True, text=True, env=environment
    )
    return float(done.stdout)


def main() -> None:
    empty, ours = (statistics.median(seconds(code) for _ in range(7)) for code in (EMPTY, OURS))
    print(
        f"empty window {empty * 1e3:.0f} ms, bdshift {ours * 1e3:.0f} ms, {ours / empty:.2f} times"
    )


if __name__ == "__main__":
    main()
