"""The worker: an object that lives on its own thread and runs the jobs it is sent, in order."""

from __future__ import annotations

import os
import threading
import time
import traceback
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from bdshift.errors import ClassesDoNotFit, SeveralModels, UnknownArchitecture
from bdshift.files import is_on_another_machine
from bdshift.jobs import (
    Audits,
    Canceled,
    EarlierFigures,
    Event,
    Figures,
    Glimpse,
    JobContext,
    JobPart,
    Mapped,
    Note,
    PartsOver,
    Progress,
)
from bdshift.words import Sentence
from bdshift_gui.jobs.estimate import Estimate
from bdshift_gui.jobs.events import (
    Audited,
    Cause,
    Failed,
    Finished,
    Glimpsed,
    Job,
    Noted,
    Progressed,
    Stepped,
    SteppedBefore,
    Stopped,
    sentence_of,
)

_INTERVAL = 1 / 15  # seconds between two progress events
_GLIMPSES = 1 / 8  # seconds between two glimpses, whose pictures take longer to draw


class WindowJob(JobContext):
    """Reports progress to the window at most fifteen times a second, and always a stage's end;
    what a search for a trigger or a map has found at most eight times a second, and always its end.
    ``over`` is set when the worker is done with the job.
    """

    def __init__(self, worker: Worker, job: int) -> None:
        super().__init__()
        self.over = threading.Event()
        self._worker, self._job = worker, job
        self._cancels, self._counting = 0, threading.Lock()
        self._stage: Sentence | None = None
        self._sent = self._glimpsed = 0.0
        self._estimate, self._keeping = Estimate(), False

    def cancel(self) -> None:
        """Ask the job to stop at its next step. Asked twice, it keeps nothing, even if it comes to
        that step only now.
        """
        with self._counting:
            self._cancels += 1
            super().cancel()

    def keep_result(self) -> None:
        """See `JobContext`. Called on the worker thread."""
        with self._counting:
            self._keeping = self._cancels == 1
            if self._cancels < 2:
                super().keep_result()

    def report(self, event: Event) -> None:
        """Called on the worker thread."""
        if isinstance(event, Note):
            self._worker.event_happened.emit(Noted(self._job, event.sentence))
        elif isinstance(event, Figures):
            self._worker.event_happened.emit(Stepped(self._job, event))
        elif isinstance(event, EarlierFigures):
            self._worker.event_happened.emit(SteppedBefore(self._job, event.steps))
        elif isinstance(event, Glimpse | Mapped):
            self._glimpse(event)
        elif isinstance(event, Audits):
            self._audits(event)
        elif isinstance(event, JobPart | PartsOver):
            self._estimate.begin(event if isinstance(event, JobPart) else None)
        elif isinstance(event, Progress):
            self._progress(event)

    def _glimpse(self, event: Glimpse | Mapped) -> None:
        now = time.monotonic()
        if now - self._glimpsed < _GLIMPSES and event.step < event.total:
            return
        self._glimpsed = now
        self._worker.event_happened.emit(Glimpsed(self._job, event))

    def _audits(self, event: Audits) -> None:
        now = time.monotonic()
        if now - self._glimpsed >= _GLIMPSES or event.done >= event.total:
            self._glimpsed = now
            self._worker.event_happened.emit(Audited(self._job, event))

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        self._estimate.take(event, now)
        if event.stage != self._stage:
            self._stage, self._sent = event.stage, 0.0
        if now - self._sent < _INTERVAL and event.done < event.total:
            return
        self._sent = now
        drawn = self._estimate.leading
        self._worker.event_happened.emit(
            Progressed(
                self._job, drawn.stage, drawn.done, drawn.total, drawn.unit,
                self._estimate.left(now), self._estimate.share, self._estimate.part,
                None if event.stage == drawn.stage else event.stage, self._keeping,
            )
        )  # fmt: skip


class Worker(QObject):
    """Lives on the worker thread. `event_happened` is its only output."""

    event_happened = Signal(object)

    @Slot(object, object)
    def run(self, job: Job, context: WindowJob) -> None:
        """Run a job and emit how it ended."""
        try:
            context.raise_if_canceled()
            result = job.run(context)
            if not job.keeps:
                context.raise_if_canceled()
        except Canceled:
            self.event_happened.emit(Stopped(job.id))
        except BaseException as error:  # even sys.exit() of a user's code: the thread has to go on
            self.event_happened.emit(_failed(job, error))
        else:
            self.event_happened.emit(Finished(job.id, result))
        finally:
            context.over.set()


def _is_gone(path: str) -> bool:
    """Whether nothing is there. Another machine is not asked."""
    return not is_on_another_machine(path) and not os.path.lexists(path)


def _failed(job: Job, error: BaseException) -> Failed:
    """What the window is told; called while ``error`` is handled."""
    from bdshift.devices import is_out_of_memory

    sentence, details = sentence_of(error), traceback.format_exc()
    cause: Cause | None = None
    choices: tuple[str, ...] = ()
    if isinstance(error, UnknownArchitecture):
        cause = "architecture"
    elif isinstance(error, ClassesDoNotFit):
        cause = "classes"
    elif isinstance(error, SeveralModels):
        cause, choices = "several", error.names
    elif is_out_of_memory(error):
        sentence, cause = Sentence("Out of memory."), "memory"
    named = sentence.values.get("path")
    if cause is None and named is not None and _is_gone(str(named)):
        cause = "moved"
    path = None if named is None else Path(str(named))
    return Failed(job.id, sentence, details, cause, path, choices, job.name)
