"""Writes into the session what comes of many models while they are audited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.jobs.events import Audited, Event, Failed, Job, Noted, Progressed, sentence_of

if TYPE_CHECKING:
    from bdshift.fleet.table import Ranked

    _Answer = tuple[Path, tuple[Ranked, ...] | None, float]
    """The folder, its rows if any is new, and the seconds that looking took."""

_LOOK_EVERY = 1000  # milliseconds between two looks at the results, at least
_SHARE = 10  # of the time may be spent on looking: each tenth second, if it takes one


class FleetListener(QObject):
    """Listens to the worker of a window's fleet. The table is read and ranked on another thread,
    more slowly the longer that takes.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context.session)
        self._context = context
        self._collect: Callable[[], _Answer] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        context.fleet_jobs.started.connect(self._started)
        context.fleet_jobs.happened.connect(self._happened)
        context.fleet_jobs.ended.connect(self._ended)

    @Slot(object)
    def _started(self, job: Job) -> None:
        shown = self._context.state.fleet
        assert shown is not None
        self._collect = _collector(shown.folder)
        self._context.session.update(log=self._context.state.logged(job.name))
        self._look()

    @Slot(object)
    def _happened(self, event: Event) -> None:
        shown = self._context.state.fleet
        if shown is None:
            return
        if isinstance(event, Audited):
            now = event.audits
            shown = replace(shown, done=now.done, total=now.total, stages=now.stages)
            self._context.session.update(fleet=shown)
        elif isinstance(event, Progressed):
            self._context.session.update(fleet=replace(shown, left=event.left))
        elif isinstance(event, Noted):
            said = Sentence("  {note}", {"note": event.sentence})
            self._context.session.update(log=self._context.state.logged(said))

    @Slot(object)
    def _ended(self, event: Event) -> None:
        shown = self._context.state.fleet
        if shown is None:
            return
        stopped = replace(shown, running=False, left=None, stages={})
        failure = event if isinstance(event, Failed) else self._context.state.failure
        self._context.session.update(fleet=stopped, failure=failure)
        self._look()

    def _look(self) -> None:
        """Read what is new, and again in a while, as long as models are audited."""
        self._timer.stop()
        if self._collect is not None:
            self._context.quick.ask("fleet", self._collect, self._found, self._failed)

    def _found(self, answer: _Answer) -> None:
        folder, found, seconds = answer
        shown = self._context.state.fleet
        if shown is None or shown.folder != folder:  # another one is shown by now
            return
        if found is not None:
            self._context.session.update(fleet=replace(shown, found=found))
        if shown.running:
            self._timer.start(max(_LOOK_EVERY, round(_SHARE * 1000 * seconds)))

    def _failed(self, error: Exception) -> None:
        said = sentence_of(error)
        self._context.session.update(message=said, log=self._context.state.logged(said))
        shown = self._context.state.fleet
        if shown is not None and shown.running:
            self._timer.start(_LOOK_EVERY)


def _collector(folder: Path) -> Callable[[], _Answer]:
    """A function that reads and ranks what is new in a folder."""
    known: list[object] = []

    def collect() -> _Answer:
        import time

        from bdshift.fleet.results import Results
        from bdshift.fleet.table import Collected

        began = time.monotonic()
        if not known:
            known.append(Collected(Results(folder)))
        [rows] = known
        assert isinstance(rows, Collected)
        found = rows.refresh()
        return folder, None if found is None else tuple(found), time.monotonic() - began

    return collect
