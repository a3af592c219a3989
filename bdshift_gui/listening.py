"""Writes what jobs report into the session, and starts what follows when one ends."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from bdshift_gui.context import Context
from bdshift_gui.i18n import language, say, tr
from bdshift_gui.jobs.events import Event, Failed, Noted, Progressed, Stepped, Stopped
from bdshift_gui.tasks.purifying import purify_next
from bdshift_gui.widgets.job_bar import JobBar


class Listener(QObject):
    """Listens to a window's jobs; progress, which nothing depends on, goes straight to its bar."""

    def __init__(self, context: Context, bar: JobBar) -> None:
        super().__init__(context.session)
        self._context, self._bar = context, bar
        context.jobs.started.connect(self._started)
        context.jobs.happened.connect(self._happened)
        context.jobs.ended.connect(self._ended)

    def _log(self, line: str) -> tuple[str, ...]:
        return (*self._context.state.log, line)

    @Slot(str)
    def _started(self, name: str) -> None:
        self._bar.begin(name)
        self._context.session.update(job=name, message="", log=self._log(name))

    @Slot(object)
    def _happened(self, event: Event) -> None:
        session = self._context.session
        if isinstance(event, Progressed):
            self._bar.progress(event)
        elif isinstance(event, Noted):
            session.update(log=self._log(f"  {say(event.sentence)}"))
        elif isinstance(event, Stepped):
            from bdshift.purify.quantities import in_words

            step = event.figures
            line = tr(
                "step {number} of {total}: {figures}",
                number=step.number + 1, total=step.total, figures=in_words(step.values, language()),
            )  # fmt: skip
            steps = (*self._context.state.steps, step)
            session.update(steps=steps, log=self._log(f"  {line}"))

    @Slot(object)
    def _ended(self, event: Event) -> None:
        self._bar.end()
        parts: dict[str, object] = {"job": "", "steps": ()}
        if isinstance(event, Failed):
            parts |= {"failure": event, "log": self._log(event.details)}
        elif isinstance(event, Stopped):
            stopped = tr("Canceled; nothing was lost.")
            parts |= {"message": stopped, "log": self._log(stopped)}
        self._context.session.update(**parts)
        purify_next(self._context, event)
