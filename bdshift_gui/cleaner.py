"""What follows a verdict, carried out on the worker: purify, export, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from bdshift.jobs import Figures, JobContext
from bdshift_gui.auditor import as_shown
from bdshift_gui.i18n import tr
from bdshift_gui.jobs.controller import JobController
from bdshift_gui.jobs.events import Stopped
from bdshift_gui.session import Session

if TYPE_CHECKING:
    from bdshift.audit import Audit, Cleaned
    from bdshift.audit.unfinished import Asked


class Cleaner(QObject):
    """Intents in, session out."""

    def __init__(self, session: Session, jobs: JobController) -> None:
        super().__init__(session)
        self._session, self._jobs = session, jobs
        self.states: set[Path] = set()  # of purifications that are in no file yet
        self._waiting: tuple[Asked, ...] = ()
        jobs.ended.connect(self._go_on)

    def purify(self, all_asked: tuple[Asked, ...]) -> None:
        """Purify copies of the original, one after another; stopped, the best until then is kept,
        and those that wait are given up. One that fails does not hold up the others. After a crash
        the same question goes on from where it was.
        """
        asked, self._waiting = all_asked[0], all_asked[1:]
        state = self._session.state
        audit, model, images = as_shown(state), state.model_path, state.images_path
        arch, device = state.corrections.get("arch"), state.corrections.get("device", "auto")

        def run(job: JobContext) -> tuple[Audit, Cleaned, Path]:
            from bdshift.audit.cleaning import aligned, clean_model
            from bdshift.audit.unfinished import Unfinished
            from bdshift.purify import parse_method
            from bdshift.triggers import parse_trigger

            applied = parse_trigger(asked.trigger) if asked.trigger else None
            resume = Unfinished().begin(audit, asked)
            cleaned = clean_model(
                audit, parse_method(asked.method), asked.target, model=model, images=images,
                arch=arch, held=asked.held, trigger=applied, device=device, resume=resume, job=job,
            )  # fmt: skip
            return aligned(audit), cleaned, resume

        def done(found: tuple[Audit, Cleaned, Path]) -> None:
            before, cleaned, resume = found
            self.states.add(resume)
            if not cleaned.run.complete:
                self._waiting = ()
            original = replace(before, runs=(*before.runs, cleaned))
            if self._session.state.shown:
                self._session.update(original=original)
            else:
                self._session.update(original=original, audit=original)

        self._session.update(steps=(), comparing=None)
        more = len(self._waiting)
        name = tr("Purifying, {count} more wait", count=more) if more else tr("Purifying")
        self._jobs.start(name, run, done, keeps=True)

    @Slot(object)
    def _go_on(self, event: object) -> None:
        """Start the next, when everybody has heard that the last one ended."""
        if isinstance(event, Stopped):
            self._waiting = ()
        if self._waiting:
            QTimer.singleShot(0, self, self._next)

    @Slot()
    def _next(self) -> None:
        if self._waiting and not self._jobs.busy:
            self.purify(self._waiting)

    @Slot()
    def settled(self, *_: object) -> None:
        """The purifications are in a file, or not wanted: what would repeat them can go."""
        if self.states:
            from bdshift.audit.unfinished import Unfinished

            for path in self.states:
                Unfinished().forget(path)
            self.states.clear()

    def export_run(self, number: int, path: Path, form: str) -> None:
        """Write a purified model, and beside it where it came from."""
        state = self._session.state
        audit = as_shown(state)
        model, arch = state.model_path, state.corrections.get("arch")

        def run(job: JobContext) -> None:
            from bdshift.audit import reopen_model
            from bdshift.audit.cleaning import aligned
            from bdshift.checkpoints.export import KEEPS_CODE
            from bdshift.report.cleaning_report import export_cleaned

            original = reopen_model(audit, model=model, arch=arch, job=job)
            told = aligned(audit, job=job)
            cleaned = told.runs[number - 1]
            written = export_cleaned(told, cleaned, original, path, form, overwrite=True)
            if written["export"]["keeps_code"]:
                job.note(KEEPS_CODE)

        self._jobs.start(tr("Exporting the model"), run, lambda _: None)

    def export_table(self, path: Path) -> None:
        """Write the table of the original and all purifications, as CSV or JSON."""
        audit = as_shown(self._session.state)

        def run(job: JobContext) -> None:
            import json

            from bdshift.audit.cleaning import aligned
            from bdshift.report.cleaning_report import write_text
            from bdshift.report.comparison_report import runs_table, table_csv

            rows = runs_table(aligned(audit, job=job))
            as_json = path.suffix.lower() == ".json"
            write_text(path, json.dumps(rows, indent=2) + "\n" if as_json else table_csv(rows))

        self._jobs.start(tr("Exporting the table"), run, lambda _: None)

    def report(self, path: Path, language: str, number: int) -> None:
        """Write the audit as it is shown, and a purification, as a page."""
        audit = as_shown(self._session.state)

        def run(job: JobContext) -> None:
            from bdshift.audit.cleaning import aligned
            from bdshift.report.cleaning_report import write_text
            from bdshift.report.html_report import html_report

            write_text(path, html_report(aligned(audit, job=job), language, number))

        self._jobs.start(tr("Writing the report"), run, lambda _: None)

    def step(self, figures: Figures | None) -> None:
        """Take note of a step of the purification that is on its way; None when it ended."""
        steps = self._session.state.steps
        self._session.update(steps=() if figures is None else (*steps, figures))
