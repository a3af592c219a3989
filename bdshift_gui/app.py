"""Starts the window, then loads torch."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QApplication

from bdshift.jobs import JobContext
from bdshift.words import LANGUAGES, Sentence
from bdshift_gui import crash
from bdshift_gui.actions.open_files import open_dropped
from bdshift_gui.actions.try_out import DEMO
from bdshift_gui.context import Context
from bdshift_gui.fonts import load_fonts
from bdshift_gui.jobs.events import Failed, sentence_of
from bdshift_gui.main_window import MainWindow
from bdshift_gui.pdf_command import write_pdf
from bdshift_gui.printing.paper import PAPERS, usual_paper
from bdshift_gui.settings import Settings

DESKTOP_FILE = "invalid.bdshift.bdshift"
"""Desktops find the window's name and icon in the entry of this name (`packaging/linux`)."""


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bdshift-gui", description="The bdshift window.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="MODEL IMAGES | AUDIT.h5")
    parser.add_argument(
        "--demo", action="store_true", help="audit the bundled demo model right away"
    )
    parser.add_argument("--demo-folder", type=Path, help="default: in the user's data folder")
    parser.add_argument("--fresh", action="store_true", help="start with clean settings")
    pdf = parser.add_argument_group("the report as PDF, without a window")
    pdf.add_argument("--pdf", type=Path, metavar="OUT.pdf", help="write the report of AUDIT.h5")
    pdf.add_argument("--run", type=int, metavar="N",
                     help="which purification, from 1; 0 for none; default: the last")  # fmt: skip
    pdf.add_argument("--language", choices=LANGUAGES, default="en", help="default: en")
    pdf.add_argument("--paper", choices=[*PAPERS], default=usual_paper(),
                     help="default: what is usual in your country")  # fmt: skip
    pdf.add_argument("--overwrite", action="store_true", help="replace OUT.pdf if it is there")
    given = parser.parse_args(argv)
    if given.pdf is not None and len(given.paths) != 1:
        parser.error("--pdf takes one audit file")
    return given


class _InternalErrors(QObject):
    """Shows exceptions raised in slots, on any thread, in the error bar."""

    happened = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        # Queued: shown right away, what fails whenever something is drawn would call itself.
        self.happened.connect(self._show, Qt.ConnectionType.QueuedConnection)
        sys.excepthook = self._hook

    def _hook(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        details = "".join(traceback.format_exception(kind, error, trace))
        print(details, file=sys.stderr)
        self.happened.emit(Failed(0, sentence_of(error), details))

    @Slot(object)
    def _show(self, event: Failed) -> None:
        shown = self._window.session.state.failure
        if shown is None or shown.details != event.details:
            self._window.session.update(failure=event)


def load_torch(_job: JobContext) -> None:
    """The first job: import what takes seconds to import, before it is needed.

    Its million objects are then excluded from garbage collection, which would otherwise freeze the
    window for a sixth of a second every now and then.
    """
    import torch

    import bdshift.audit
    import bdshift.store  # noqa: F401

    gc.collect()
    gc.freeze()

    if torch.get_num_threads() > 2:  # leave a core for the window
        torch.set_num_threads(torch.get_num_threads() - 1)


def start_loading(context: Context) -> None:
    """Load torch on the worker. Every button is alive meanwhile: a job that the user starts takes
    the place of this one, and begins once the import, which nothing can stop, is through.
    """
    context.start(Sentence("Starting"), load_torch, lambda _: None, gives_way=True)


def _no_screen() -> bool:
    """Whether Qt has nothing to draw on: on Linux, without a display or another platform named."""
    named = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return sys.platform == "linux" and not any(os.environ.get(one) for one in named)


def main(argv: list[str] | None = None) -> int:
    """Run the window until it is closed."""
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # before h5py loads, for network drives
    given = _arguments(sys.argv[1:] if argv is None else argv)
    if given.pdf is not None:
        return write_pdf(
            given.paths[0], given.pdf, run=given.run, language=given.language, paper=given.paper,
            overwrite=given.overwrite,
        )  # fmt: skip
    if _no_screen():  # Qt would end the process
        print("bdshift-gui needs a screen, and none is here (DISPLAY and WAYLAND_DISPLAY are not "
              "set). Use bdshift, or --pdf for a report.", file=sys.stderr)  # fmt: skip
        return 2
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("bdshift")
    app.setOrganizationName("bdshift")
    app.setDesktopFileName(DESKTOP_FILE)
    app.setStyle("Fusion")
    load_fonts()
    settings = Settings(fresh=given.fresh)
    window = MainWindow(settings, given.demo_folder or settings.data_folder / "demo")
    _InternalErrors(window)
    left = crash.watch()
    window.show()
    crashed = Sentence("bdshift crashed last time. You can copy the details.")

    def after(_: object) -> None:
        if given.demo:
            DEMO.trigger(window.context)
        else:
            open_dropped(window.context, given.paths)
        window.autosave.offer()
        if left:
            window.session.update(failure=Failed(0, crashed, left))

    # After the first paint: create the rest of the window, load torch on the worker, then do what
    # the command line asks for.
    QTimer.singleShot(0, window.furnish)
    QTimer.singleShot(0, lambda: start_loading(window.context))
    window.jobs.ended.connect(after, Qt.ConnectionType.SingleShotConnection)
    code = app.exec()
    crash.forget()
    return code


if __name__ == "__main__":
    sys.exit(main())
