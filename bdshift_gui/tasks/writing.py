"""Writes what was found: the audit file, purified models, tables, reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.purifying import settle
from bdshift_gui.tasks.recent import remember
from bdshift_gui.tasks.showing import as_judged, as_shown

if TYPE_CHECKING:
    from bdshift.audit import Material
    from bdshift.checkpoints.export import ExportForm


def save_as(context: Context) -> None:
    """Ask for a path and save the audit."""
    path = context.ask.where(tr("Save audit"), "audit.h5", (".h5",))
    if path is not None and not context.state.busy:
        save(context, path)


def save(context: Context, path: Path) -> None:
    """Write the audit file, with the α and rule that are shown."""
    source, audit = context.state.original, as_shown(context.state)

    def run(job: JobContext) -> None:
        from bdshift.audit.purifying import aligned
        from bdshift.store import save_audit

        save_audit(aligned(audit, job=job), path)

    def done(_: None) -> None:
        context.session.update(kept=source)
        remember(context, path)
        settle(context)

    context.start(Sentence("Saving the audit"), run, done)


def export_purified(context: Context, number: int, path: Path, form: ExportForm) -> None:
    """Write a purified model, and next to it a record of its origin."""
    audit, ready = as_shown(context.state), material_of(context.state)

    def run(job: JobContext) -> Material:
        from bdshift.audit.purifying import aligned
        from bdshift.checkpoints.export import KEEPS_CODE
        from bdshift.report.purification_report import export_purified as write

        material = ready(job)
        whole = aligned(audit, job=job)
        made = whole.purifications[number - 1]
        if write(whole, made, material.classifier, path, form, overwrite=True).keeps_code:
            job.note(KEEPS_CODE)
        return material

    def done(material: Material) -> None:
        context.session.update(material=material)

    context.start(Sentence("Exporting the model"), run, done)


def export_table(context: Context, path: Path) -> None:
    """Write the table of the original and all purifications, as it is shown, as CSV or JSON."""
    audit = as_judged(context.state)

    def run(job: JobContext) -> None:
        import json
        from dataclasses import asdict

        from bdshift.report.comparison_report import models_table, table_csv
        from bdshift.report.purification_report import write_text

        rows = models_table(audit)
        if path.suffix.lower() == ".json":
            write_text(path, json.dumps([asdict(row) for row in rows], indent=2) + "\n")
        else:
            write_text(path, table_csv(rows))

    context.start(Sentence("Exporting the table"), run, lambda _: None)


def write_report(context: Context, path: Path) -> None:
    """Write the audit as it is shown, and the chosen purification, as an HTML page."""
    audit, number, spoken = as_shown(context.state), context.state.chosen, language()

    def run(job: JobContext) -> None:
        from bdshift.audit.purifying import aligned
        from bdshift.report.html_report import html_report
        from bdshift.report.purification_report import write_text

        write_text(path, html_report(aligned(audit, job=job), spoken, number))

    context.start(Sentence("Writing the report"), run, lambda _: None)


def export_neurons(context: Context, path: Path) -> None:
    """Write the selected neurons, as CSV or JSON."""
    state = context.state
    audit, selection, tac = state.audit, state.selection, state.tac
    assert audit is not None
    index = selection.class_index
    assert index is not None

    def run(job: JobContext) -> None:
        from bdshift.report.neurons_table import neurons_csv, neurons_list, neurons_list_json
        from bdshift.report.purification_report import write_text

        rows = neurons_list(audit.shifts.shift[index], tac, sorted(selection.neurons))
        if path.suffix.lower() == ".json":
            write_text(path, neurons_list_json(rows, index, audit.shifts.alpha))
        else:
            write_text(path, neurons_csv(rows))

    context.start(Sentence("Exporting the selection"), run, lambda _: None)
