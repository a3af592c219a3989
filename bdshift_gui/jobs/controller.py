"""The window's side of the worker: starts and cancels jobs, passes on the current one's events."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal, Slot

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.jobs.events import Event, Failed, Finished, Job, Stopped, sentence_of
from bdshift_gui.jobs.worker import WindowJob, Worker

_STACK = 16 * 1024 * 1024  # QThread's default is too small for BLAS on some systems
_PATIENCE = 5.0  # seconds that closing waits for a job


class JobController(QObject):
    """Runs one job at a time. ``started`` carries the `Job`, ``happened`` its events, ``ended`` its
    last one, after which another may start.
    """

    started = Signal(object)
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

    def start(
        self,
        name: Sentence,
        run: Callable[[JobContext], Any],
        done: Callable[[Any], None],
        *,
        keeps: bool = False,
        gives_way: bool = False,
    ) -> None:
        """Start a job; ``done`` gets its result, on the GUI thread. If the job ``keeps`` what it
        has so far, ``done`` gets that even after a cancel. Only when none is running, or one that
        ``gives_way``: that is canceled and forgotten, and the worker begins once it has stopped.
        """
        if self._job is not None:
            assert self._job.gives_way, "one job at a time: the actions are off while one runs"
            self.cancel()
        self._job = Job(next(self._numbers), name, run, keeps, gives_way)
        self._context = WindowJob(self._worker, self._job.id)
        self._done = done
        self.started.emit(self._job)
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
            try:
                done(event.result)
            except Exception as error:  # the job has ended all the same
                event = Failed(event.job, sentence_of(error), traceback.format_exc())
        self.ended.emit(event)

    @property
    def is_over(self) -> bool:
        """Whether no job runs. One that was asked to stop has five seconds for it; else it goes on,
        and ends as any other.
        """
        return self._context is None or self._context.over.wait(_PATIENCE)

    def close(self) -> bool:
        """End the thread, once it `is_over`. False if it does not end."""
        self._job = self._context = self._done = None
        self._thread.quit()
        return self._thread.wait()
