"""Writes what jobs report into the session, and starts what follows when one ends."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from bdshift.jobs import Figures, Glimpse, Mapped
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.jobs.events import (
    Event,
    Failed,
    Finished,
    Glimpsed,
    Job,
    Noted,
    Progressed,
    Stepped,
    SteppedBefore,
    Stopped,
)
from bdshift_gui.session import LogLine, RunningJob, State
from bdshift_gui.tasks.labeling import look_at_classes
from bdshift_gui.tasks.opening import open_next
from bdshift_gui.tasks.purifying import purify_next
from bdshift_gui.tasks.searching import search_next
from bdshift_gui.tasks.showing import solve_next
from bdshift_gui.widgets.job_bar import JobBar


class Listener(QObject):
    """Listens to a window's jobs; progress, which nothing depends on, goes straight to its bar."""

    def __init__(self, context: Context, bar: JobBar) -> None:
        super().__init__(context.session)
        self._context, self._bar = context, bar
        context.jobs.started.connect(self._started)
        context.jobs.happened.connect(self._happened)
        context.jobs.ended.connect(self._ended)
        context.session.changed.connect(self._changed)

    def _log(self, entry: Sentence | Figures) -> tuple[LogLine, ...]:
        return self._context.state.logged(entry)

    @Slot(object, object)
    def _changed(self, new: State, old: State) -> None:
        if any(a is not b for a, b in zip(_fitted(new), _fitted(old), strict=True)):
            look_at_classes(self._context, new)

    @Slot(object)
    def _started(self, job: Job) -> None:
        running = RunningJob(job.id, job.name, job.keeps, gives_way=job.gives_way)
        state, said = self._context.state, [job.name]
        if state.job is not None:  # it gave way
            said.insert(0, Sentence("  {note}", {"note": Sentence("interrupted")}))
        log = state.logged(*said)
        self._context.session.update(
            job=running, doing=None, message=None, written=None, log=log
        )  # fmt: skip

    @Slot(object)
    def _happened(self, event: Event) -> None:
        session = self._context.session
        if isinstance(event, Progressed):
            self._bar.progress(event)
            state = session.state
            watched = state.recovering is not None or state.purifying is not None
            if watched and event.running != state.doing:
                session.update(doing=event.running)
        elif isinstance(event, Noted):
            session.update(log=self._log(Sentence("  {note}", {"note": event.sentence})))
        elif isinstance(event, Glimpsed):
            found = event.glimpse
            if isinstance(found, Mapped):
                session.update(plane=found.plane)
            else:
                session.update(glimpse=found, glimpsed=_competing(session.state, found))
        elif isinstance(event, SteppedBefore):
            session.update(steps=(*session.state.steps, *event.steps))
        elif isinstance(event, Stepped):
            steps = (*self._context.state.steps, event.figures)
            session.update(steps=steps, log=self._log(event.figures))

    @Slot(object)
    def _ended(self, event: Event) -> None:
        job = self._context.state.job
        parts: dict[str, object] = {
            "job": None, "doing": None, "steps": (), "purifying": None, "recovering": None,
            "plane": None,
        }  # fmt: skip
        state = self._context.state
        if state.recovering is not None and not isinstance(event, Finished):
            shown = None if state.recovery == 0 else state.page  # what it showed is not kept
            parts |= {"glimpse": None, "page": shown}
        if job is not None and job.gives_way:
            parts["to_search"] = 0.0
        if isinstance(event, Failed):
            parts |= {"failure": event, "log": self._log(Sentence(event.details))}
        elif isinstance(event, Stopped):
            stopped = (
                Sentence("Canceled; the result so far was not kept.")
                if job is not None and job.keeps
                else Sentence("Canceled; nothing was lost.")
            )
            parts |= {"message": stopped, "log": self._log(stopped)}
        self._context.session.update(**parts)
        solve_next(self._context, event)
        open_next(self._context)
        purify_next(self._context)
        search_next(self._context)


def _competing(state: State, found: Glimpse) -> tuple[Glimpse, ...]:
    """The last of each other kind of change that was searched for toward the same classes."""
    before = state.glimpsed if state.glimpse is None else (*state.glimpsed, state.glimpse)
    if state.glimpse is None or state.glimpse.targets.tolist() != found.targets.tolist():
        return ()
    others = {one.kind: one for one in before if one.kind != found.kind}
    return tuple(others.values())


def _fitted(state: State) -> tuple[object, ...]:
    """What decides whether folders and classes fit each other."""
    return state.model, state.images, state.corrections.labels, state.audit
