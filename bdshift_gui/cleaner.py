"""What follows a verdict, carried out on the worker: purify, export, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from bdshift.jobs import Figures, JobContext
from bdshift_gui.auditor import as_shown
from bdshift_gui.i18n import tr
from bdshift_gui.jobs.controller import JobController
from bdshift_gui.session import Session

if TYPE_CHECKING:
    from bdshift.audit.cleaning import Cleaned


class Cleaner(QObject):
    """Intents in, session out."""

    def __init__(self, session: Session, jobs: JobController) -> None:
        super().__init__(session)
        self._session, self._jobs = session, jobs

    def purify(self, method: str, target: int, trigger: str, held: float) -> None:
        """Purify a copy of the model; stopped, the best until then is kept."""
        state = self._session.state
        assert state.audit is not None
        audit, model, images = state.audit, state.model_path, state.images_path
        arch, device = state.corrections.get("arch"), state.corrections.get("device", "auto")

        def run(job: JobContext) -> Cleaned:
            from bdshift.audit.cleaning import clean_model
            from bdshift.purify import parse_method
            from bdshift.triggers import parse_trigger

            applied = parse_trigger(trigger) if trigger else None
            return clean_model(
                audit, parse_method(method), target, model=model, images=images, arch=arch,
                held=held, trigger=applied, device=device, job=job,
            )  # fmt: skip

        def done(cleaned: Cleaned) -> None:
            self._session.update(runs=(*self._session.state.runs, cleaned))

        self._session.update(steps=())
        self._jobs.start(tr("Purifying"), run, done, keeps=True)

    def export_run(self, cleaned: Cleaned, path: Path, form: str) -> None:
        """Write a purified model, and beside it where it came from."""

        def run(job: JobContext) -> None:
            import json

            from bdshift.checkpoints.export import write_checkpoint
            from bdshift.report.cleaning_report import cleaned_json

            told = cleaned_json(cleaned)
            told["export"] = write_checkpoint(
                cleaned.run.classifier, path, form, overwrite=True  # the dialog has asked
            )  # fmt: skip
            text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
            path.with_name(path.name + ".json").write_text(text, encoding="utf-8")

        self._jobs.start(tr("Exporting the model"), run, lambda _: None)

    def report(self, path: Path, language: str, cleaned: Cleaned | None) -> None:
        """Write the audit as it is shown, and a purification, as a page."""
        audit = as_shown(self._session.state)

        def run(job: JobContext) -> None:
            from bdshift.report.cleaning_report import cleaned_json
            from bdshift.report.html_report import html_report

            told = None if cleaned is None else cleaned_json(cleaned)
            path.write_text(html_report(audit, language, told), encoding="utf-8")

        self._jobs.start(tr("Writing the report"), run, lambda _: None)

    def step(self, figures: Figures | None) -> None:
        """Take note of a step of the purification that is on its way; None when it ended."""
        steps = self._session.state.steps
        self._session.update(steps=() if figures is None else (*steps, figures))
