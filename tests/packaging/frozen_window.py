"""Runs inside ``bdshift-gui -c``: the demo in its window, and a picture of it."""

import sys

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from bdshift_gui import app
from bdshift_gui.main_window import MainWindow

started = QApplication(sys.argv[:1])


def look() -> None:
    [window] = [one for one in started.topLevelWidgets() if isinstance(one, MainWindow)]
    state = window.session.state
    busy = state.job or state.busy or state.to_search or not window.quick.idle
    if state.failure is None and (state.audit is None or busy):
        QTimer.singleShot(200, look)
        return
    assert state.failure is None, state.failure
    assert state.audit is not None
    window.grab().save("window.png")
    print(state.audit.finding.level)
    window.session.update(kept=state.original)
    window.close()


QTimer.singleShot(1000, look)
sys.exit(app.main(["--fresh", "--demo", "--demo-folder", "demo"]))
