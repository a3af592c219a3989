"""The worker: an object that lives on its own thread and runs the jobs it is sent, in order."""

from __future__ import annotations

import time
import traceback
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from bdshift.errors import BdshiftError, SeveralModels, UnknownArchitecture
from bdshift.jobs import Canceled, Event, Figures, JobContext, Note, Progress
from bdshift_gui.jobs.events import (
    Failed,
    Finished,
    Job,
    Noted,
    Progressed,
    Stepped,
    Stopped,
    sentence,
)

_INTERVAL = 1 / 15  # seconds between two progress events


class WindowJob(JobContext):
    """Reports to the window, at most fifteen times a second, and always the end of a stage."""

    def __init__(self, worker: Worker, job: int) -> None:
        super().__init__()
        self._worker, self._job = worker, job
        self._stage = ""
        self._began = self._sent = 0.0

    def report(self, event: Event) -> None:
        """Called on the worker's thread."""
        if isinstance(event, Note):
            self._worker.event_happened.emit(Noted(self._job, event.text))
        elif isinstance(event, Figures):
            self._worker.event_happened.emit(Stepped(self._job, event))
        else:
            self._progress(event)

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        if event.stage != self._stage:
            self._stage, self._began, self._sent = event.stage, now, 0.0
        if now - self._sent < _INTERVAL and event.done < event.total:
            return
        self._sent = now
        spent = now - self._began
        left = None
        if event.done and spent > 1:
            left = spent / event.done * (event.total - event.done)
        self._worker.event_happened.emit(
            Progressed(self._job, event.stage, event.done, event.total, event.unit, left)
        )


class Worker(QObject):
    """Lives on the worker thread. `event_happened` is its only way out."""

    event_happened = Signal(object)

    @Slot(object, object)
    def run(self, job: Job, context: WindowJob) -> None:
        """Run a job to its end, whatever the end is."""
        try:
            context.raise_if_canceled()
            result = job.run(context)
            if not job.keeps:
                context.raise_if_canceled()
        except Canceled:
            self.event_happened.emit(Stopped(job.id))
        except BdshiftError as error:
            cause: Any = None
            choices: tuple[str, ...] = ()
            if isinstance(error, UnknownArchitecture):
                cause = "architecture"
            elif isinstance(error, SeveralModels):
                cause, choices = "several", error.names
            self.event_happened.emit(
                Failed(job.id, str(error), traceback.format_exc(), cause, choices)
            )
        except Exception as error:  # a job must never take the thread down
            from bdshift.devices import is_out_of_memory

            text = sentence(error)
            cause = "memory" if is_out_of_memory(error) else None
            self.event_happened.emit(Failed(job.id, text, traceback.format_exc(), cause))
        else:
            self.event_happened.emit(Finished(job.id, result))
