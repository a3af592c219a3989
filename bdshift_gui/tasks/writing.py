"""Writes what was found: the audit file, purified models, tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer

from bdshift.files import KeptPath
from bdshift.jobs import JobContext
from bdshift.outputs import Output
from bdshift.text import one_line
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.i18n import language, tr
from bdshift_gui.log_text import log_text
from bdshift_gui.session import State
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.purifying import settle
from bdshift_gui.tasks.recent import remember
from bdshift_gui.tasks.showing import as_judged, as_shown, like

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material
    from bdshift.checkpoints.export import ExportForm


def output(audit: Audit, path: Path) -> Output:
    """A file made of an audit. The dialog has asked whether it may be replaced."""
    return Output(path, overwrite=True, inputs=audit.inputs)


def suggested(state: State, ending: str) -> str:
    """Where to write something about the open model, to begin with: beside it, unless only an audit
    file says where it is.
    """
    path = state.model_path
    if path is None:
        return f"audit.{ending}"
    name = f"{Path(one_line(path.name)).stem or 'audit'}.{ending}"
    return name if isinstance(path, KeptPath) else str(path.absolute().with_name(name))


def save_document(context: Context, then: Callable[[], object] | None = None) -> None:
    """Save the audit where it was opened from or saved last, or ask where; ``then`` follows once
    that is done.
    """
    path = context.state.document
    if path is None:
        save_as(context, then)
    elif not context.state.busy:
        save(context, path, then, asked=False)


def save_as(context: Context, then: Callable[[], object] | None = None) -> None:
    """Ask for a path and save the audit."""
    document = context.state.document
    name = suggested(context.state, "audit.h5") if document is None else str(document)
    path = context.ask.where(tr("Save audit"), name, (".h5",))
    if path is not None and not context.state.busy:
        save(context, path, then)


def save(
    context: Context,
    path: Path,
    then: Callable[[], object] | None = None,
    *,
    asked: bool = True,
) -> None:
    """Write the audit file, with the α and rule that are shown. What another program has added to
    the file is kept, and shown from now on. Unless the user was ``asked``, an audit of something
    else, which the file may hold by now, is not replaced.
    """
    source, audit, before = context.state.original, as_shown(context.state), context.state.kept

    def run(job: JobContext) -> Audit | None:
        from bdshift.audit.purifying import aligned
        from bdshift.store import save_merged

        whole = aligned(audit, job=job)
        saved = save_merged(
            whole, output(audit, path), before=before, only_into_its_own=not asked, job=job
        )
        if saved is whole:
            return None
        job.note("{path}: another program had added to it; that is kept, too", path=path)
        return aligned(saved, job=job)

    def done(merged: Audit | None) -> None:
        now = context.state
        if merged is None:
            context.session.update(kept=source)
        else:
            shown = now.audit if now.shown or now.audit is None else like(merged, now.audit)
            context.session.update(original=merged, kept=merged, audit=shown)
        place = path.absolute()
        said = Sentence("Saved {name}.", {"name": path.name})
        context.session.update(document=place, written=place, message=said)
        remember(context, path)
        settle(context)
        if then is not None:
            QTimer.singleShot(0, context.session, then)  # once all slots have run

    context.start(Sentence("Saving the audit"), run, done)


def export_purified(context: Context, number: int, path: Path, form: ExportForm) -> None:
    """Write a purified model, and next to it a record of its origin."""
    audit, ready = as_shown(context.state), material_of(context.state)

    def run(job: JobContext) -> Material:
        from bdshift.audit.purifying import aligned
        from bdshift.checkpoints.export import KEEPS_CODE
        from bdshift.reports.purification_report import export_purified as write

        material = ready(job)
        whole = aligned(audit, job=job)
        made = whole.purifications[number - 1]
        if write(whole, made, material.classifier, output(audit, path), form).keeps_code:
            job.note(KEEPS_CODE)
        return material

    def done(material: Material) -> None:
        context.session.update(material=material)
        context.say_written(path)

    context.start(Sentence("Exporting the model"), run, done)


def export_vector(context: Context, number: int, path: Path) -> None:
    """Write the task vector of a purification."""
    audit, ready = as_shown(context.state), material_of(context.state)

    def run(job: JobContext) -> Material:
        from bdshift.audit.task_vectors import vector_of

        material = ready(job)
        found = vector_of(audit, audit.purifications[number - 1], material.classifier)
        output(audit, path).write(found.content())
        return material

    def done(material: Material) -> None:
        context.session.update(material=material)
        context.say_written(path)

    context.start(Sentence("Exporting the task vector"), run, done)


def save_trigger(context: Context, number: int, path: Path) -> None:
    """Write a recovered trigger to a file of its own."""
    audit = context.state.original
    assert audit is not None
    found = audit.recoveries[number - 1]

    def run(job: JobContext) -> None:
        saved = found.saved(audit.images.class_names[found.target])
        output(audit, path).write(saved.content())

    context.start(Sentence("Saving the trigger"), run, lambda _: context.say_written(path))


def export_table(context: Context, path: Path) -> None:
    """Write the table of the original and all purifications, as it is shown, as CSV or JSON."""
    audit = as_judged(context.state)

    def run(job: JobContext) -> None:
        import json

        from bdshift.reports.comparison_report import models_json, models_table, table_csv

        as_json = path.suffix.lower() == ".json"
        told = json.dumps(models_json(audit), indent=2) + "\n" if as_json else ""
        text = told or table_csv(models_table(audit))
        output(audit, path).write_text(text)

    context.start(Sentence("Exporting the table"), run, lambda _: context.say_written(path))


def export_neurons(context: Context, path: Path) -> None:
    """Write the selected neurons, as CSV or JSON."""
    state = context.state
    audit, selection, tac = state.audit, state.selection, state.tac
    assert audit is not None
    index = selection.class_index
    assert index is not None

    def run(job: JobContext) -> None:
        from bdshift.reports.neurons_table import neurons_csv, neurons_list, neurons_list_json

        rows = neurons_list(audit.shifts.shift[index], tac, sorted(selection.neurons))
        as_json = path.suffix.lower() == ".json"
        text = neurons_list_json(rows, index, audit.shifts.alpha) if as_json else neurons_csv(rows)
        output(audit, path).write_text(text)

    context.start(Sentence("Exporting the selection"), run, lambda _: context.say_written(path))


def save_log(context: Context, path: Path) -> None:
    """Write the log as it is shown."""
    log, spoken, audit = context.state.log, language(), context.state.original

    def run(job: JobContext) -> None:
        inputs = () if audit is None else audit.inputs
        Output(path, overwrite=True, inputs=inputs).write_text(log_text(log, spoken) + "\n")

    context.start(Sentence("Saving the log"), run, lambda _: context.say_written(path))
