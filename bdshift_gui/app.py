"""Starts the window: first the window, torch behind it."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QApplication

from bdshift.devices import be_polite
from bdshift.jobs import JobContext
from bdshift_gui import crash
from bdshift_gui.i18n import tr
from bdshift_gui.jobs.events import Failed, sentence
from bdshift_gui.main_window import MainWindow
from bdshift_gui.settings import Settings


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bdshift-gui", description="The window of bdshift.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="MODEL IMAGES | AUDIT.h5")
    parser.add_argument("--demo", action="store_true", help="audit the bundled victim at once")
    parser.add_argument("--demo-folder", type=Path, default=Path("bdshift-demo"))
    parser.add_argument("--fresh", action="store_true", help="start with clean settings")
    return parser.parse_args(argv)


class _Faults(QObject):
    """Exceptions in slots reach the error bar, from whatever thread they come."""

    happened = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.happened.connect(self._show)
        sys.excepthook = self._hook

    def _hook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        details = "".join(traceback.format_exception(kind, error, trace))
        print(details, file=sys.stderr)
        self.happened.emit(Failed(0, sentence(error), details))

    @Slot(object)
    def _show(self, event: Failed) -> None:
        self._window.error.show_failure(event)


def load_torch(_job: JobContext) -> None:
    """The first job: what takes seconds to import is there when it is needed.

    Its million objects are then left out of garbage collection, which would stop the window for a
    sixth of a second every now and then.
    """
    import torch

    import bdshift.audit
    import bdshift.store  # noqa: F401

    gc.collect()
    gc.freeze()

    if torch.get_num_threads() > 2:  # a core is left to the window
        torch.set_num_threads(torch.get_num_threads() - 1)


def main(argv: list[str] | None = None) -> int:
    """Run the window until it is closed."""
    be_polite()
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # before h5py loads: folders over a net
    given = _arguments(sys.argv[1:] if argv is None else argv)
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("bdshift")
    app.setOrganizationName("bdshift")
    app.setStyle("Fusion")
    load_fonts()
    window = MainWindow(Settings(fresh=given.fresh), given.demo_folder)
    _Faults(window)
    left = crash.watch()
    window.show()
    crashed = tr("The last time, bdshift crashed. Its details can be copied.")

    def after(_: object) -> None:
        if given.demo:
            window.commands.demo()
        else:
            window.commands.open_all(given.paths)
        if left:
            window.error.show_failure(Failed(0, crashed, left))

    # Once painted, the rest of the window is made, the worker loads torch; then what was asked for.
    QTimer.singleShot(0, window.furnish)
    QTimer.singleShot(0, lambda: window.jobs.start(tr("Starting"), load_torch, lambda _: None))
    window.jobs.ended.connect(after, Qt.ConnectionType.SingleShotConnection)
    code = app.exec()
    crash.forget()
    return code


def load_fonts() -> None:
    """The bundled font, Latin and Japanese: the window looks alike everywhere, never empty."""
    from bdshift.assets import asset

    for name in ("NotoSansJP-Regular.otf", "NotoSansJP-Bold.otf"):
        number = QFontDatabase.addApplicationFont(str(asset(f"fonts/{name}")))
        families = QFontDatabase.applicationFontFamilies(number)
    if families:
        QApplication.setFont(QFont(families[0]))


if __name__ == "__main__":
    sys.exit(main())
