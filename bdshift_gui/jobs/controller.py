"""The window's side of the worker: starts and cancels jobs, passes on the current one's events."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal, Slot

from bdshift.jobs import JobContext
from bdshift_gui.jobs.events import Event, Failed, Finished, Job, Stopped
from bdshift_gui.jobs.worker import WindowJob, Worker

_STACK = 16 * 1024 * 1024  # QThread's default is too small for BLAS on some systems
_PATIENCE_MS = 5000


class JobController(QObject):
    """Runs one job at a time. ``started`` carries its name, ``happened`` its events, ``ended`` its
    last one, after which another may start.
    """

    started = Signal(str)
    happened = Signal(object)
    ended = Signal(object)
    _send = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._numbers = itertools.count(1)
        self._job: Job | None = None
        self._context: WindowJob | None = None
        self._done: Callable[[Any], None] | None = None
        self._thread = QThread(self)
        self._thread.setObjectName("worker")
        self._thread.setStackSize(_STACK)
        self._worker = Worker()
        self._worker.moveToThread(self._thread)
        self._send.connect(self._worker.run)
        self._worker.event_happened.connect(self._receive)
        self._thread.finished.connect(self._worker.deleteLater)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._job is not None

    def start(
        self,
        name: str,
        run: Callable[[JobContext], Any],
        done: Callable[[Any], None],
        *,
        keeps: bool = False,
    ) -> None:
        """Start a job; ``done`` gets its result, on the GUI thread. If the job ``keeps`` what it
        has so far, ``done`` gets that even after a cancel. Only when not `busy`.
        """
        assert self._job is None, "one job at a time: the actions are off while one runs"
        self._job = Job(next(self._numbers), name, run, keeps)
        self._context = WindowJob(self._worker, self._job.id)
        self._done = done
        self.started.emit(name)
        self._send.emit(self._job, self._context)

    @Slot()
    def cancel(self) -> None:
        """Ask the job to stop; it ends with `Stopped` at its next step."""
        if self._context is not None:
            self._context.cancel()

    @Slot(object)
    def _receive(self, event: Event) -> None:
        if self._job is None or event.job != self._job.id:
            return  # from a job that was abandoned
        if not isinstance(event, (Finished, Failed, Stopped)):
            self.happened.emit(event)
            return
        done, self._job, self._context, self._done = self._done, None, None, None
        if isinstance(event, Finished) and done is not None:
            done(event.result)
        self.ended.emit(event)

    def close(self) -> bool:
        """Cancel, and end the thread. False if the job does not stop within five seconds."""
        self.cancel()
        self._job = None
        self._thread.quit()
        return self._thread.wait(_PATIENCE_MS)
