"""The window on a real X server, as far as a virtual one is real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys, time
from pathlib import Path
from PySide6.QtWidgets import QApplication
from bdshift_gui.fonts import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings
app = QApplication([])
load_fonts()
window = MainWindow(Settings(fresh=True), Path("demo"))
window.show()
window.furnish()
from bdshift_gui.actions.open_files import open_dropped
open_dropped(window.context, [Path(sys.argv[1])])
end = time.monotonic() + 60
while window.session.state.busy and time.monotonic() < end:
    app.processEvents()
    time.sleep(0.01)
app.processEvents()
picture = app.primaryScreen().grabWindow(window.winId()).toImage()
colors = {picture.pixel(x, y) for x in range(0, 1200, 7) for y in range(0, 700, 7)}
print(app.platformName(), window.session.state.audit is not None, len(colors) > 20, window.close())
"""


@pytest.mark.skipif(not shutil.which("xvfb-run"), reason="xvfb is not installed")
def test_on_an_x_server(audit_file: Path) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "xcb"}
    done = subprocess.run(
        ["xvfb-run", "-a", "-s", "-screen 0 1280x800x24", sys.executable, "-c", CODE, audit_file],
        capture_output=True, text=True, env=environment, timeout=180,
    )  # fmt: skip
    assert done.stdout.strip() == "xcb True True True", done.stderr[-2000:]
