"""What is loaded when the window is painted first, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from driving import wait_well
from pytestqt.qtbot import QtBot

from bdshift.jobs import JobContext
from bdshift_gui import app
from bdshift_gui.actions.open_files import OPEN_MODEL
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks.opening import open_model

_STARTED = """
import json, sys
from pathlib import Path
from PySide6.QtWidgets import QApplication, QPushButton
from bdshift_gui.app import load_fonts
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings
app = QApplication([]); load_fonts()
window = MainWindow(Settings(fresh=True), Path("demo")); window.show()
app.processEvents(); window.repaint(); app.processEvents()
buttons = [one for one in window.findChildren(QPushButton) if one.isVisible()]
at_first = sorted(name for name in sys.modules if "." not in name)
window.furnish()
print(json.dumps({
    "loaded": at_first,
    "furnished": sorted(name for name in sys.modules if "." not in name),
    "enabled": [one.text() for one in buttons if one.isEnabled()],
    "disabled": [one.text() for one in buttons if not one.isEnabled()],
}))
sys.stdout.flush()
import os; os._exit(0)
"""
_HEAVY = {"torch", "torchvision", "scipy", "numpy", "h5py", "pyqtgraph", "PIL", "safetensors"}


def test_the_first_paint_takes_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    """Torch alone takes seconds on a busy machine; it comes on the worker, after the paint."""
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", _STARTED], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert _HEAVY.intersection(found["loaded"]) == set()
    assert {"torch", "torchvision", "scipy"}.intersection(found["furnished"]) == set(), "views, too"
    assert "Open model…" in found["enabled"]
    assert found["disabled"] == ["Scan"], "nothing is open that could be scanned"


def test_what_is_asked_while_torch_is_being_loaded_comes_after_it(
    window: MainWindow, qtbot: QtBot, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading, go_on, order = threading.Event(), threading.Event(), []

    def load(_: JobContext) -> None:
        loading.set()
        go_on.wait(60)
        order.append("loaded")

    monkeypatch.setattr(app, "load_torch", load)
    app.start_loading(window.context)
    qtbot.waitUntil(loading.is_set)
    assert not window.session.state.busy
    assert OPEN_MODEL.enabled(window.session.state)
    assert window.actions_["open_model"].isEnabled()
    open_model(window.context, victim)
    beats: list[bool] = []
    for _ in range(20):
        qtbot.wait(1)
        beats.append(window.session.state.model is None and window.session.state.busy)
    assert all(beats), "it waits, and the window answers"
    order.append("still waiting")
    go_on.set()
    wait_well(qtbot, window)
    assert order == ["still waiting", "loaded"]
    assert window.session.state.model is not None
