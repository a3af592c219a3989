"""Audits many models, beside whatever else the window does, and shows their table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.fleet_shown import FleetShown
from bdshift_gui.pages import FleetPage
from bdshift_gui.tasks.writing import say_written


def audit_many(context: Context, named: Sequence[Path], images: Path) -> None:
    """Audit the models in ``named``, files and folders, with a clean set. Results go to a folder
    beside them, where an earlier run is gone on from.
    """
    texts = tuple(os.path.abspath(one) for one in named)

    def folder() -> Path:
        from bdshift.kinds import RESULTS_FOLDER

        first = Path(texts[0])
        return (first if first.is_dir() else first.parent) / RESULTS_FOLDER

    def begin(found: Path) -> None:
        if context.state.fleet is not None and context.state.fleet.running:
            said = Sentence("Other models are being audited; pause them first.")
            context.session.update(message=said)
            return
        show_fleet(context, FleetShown(found, texts, os.path.abspath(images)))
        go_on(context)

    context.quick.ask("folder of a fleet", folder, begin)


def go_on(context: Context, *, again: bool = False) -> None:
    """Audit what has no result yet; with ``again``, also what failed."""
    shown = context.state.fleet
    if shown is None or shown.running or not shown.named:
        return

    def run(job: JobContext) -> None:
        from bdshift.fleet.drive import run_fleet
        from bdshift.fleet.listing import list_models
        from bdshift.fleet.local import LocalEngine
        from bdshift.fleet.task import FleetModel

        models = list_models(shown.named, FleetModel("", shown.images), job)
        engine = LocalEngine(max(1, (os.cpu_count() or 1) - 1))  # the window needs one, too
        run_fleet(models, shown.folder, engine, again=again, job=job)

    context.session.update(fleet=replace(shown, running=True), failure=None)
    context.fleet_jobs.start(Sentence("Auditing models"), run, lambda _: None)


def read_fleet(folder: Path) -> FleetShown:
    """The results in a folder, or in the one of results in it. Raises `InputError`."""
    from bdshift.errors import InputError
    from bdshift.fleet.results import Results
    from bdshift.fleet.table import ranked
    from bdshift.kinds import RESULTS, RESULTS_FOLDER

    inner = folder if (folder / RESULTS).exists() else folder / RESULTS_FOLDER
    found = ranked([row for _, row in Results(inner).rows()])
    if not found:
        raise InputError("{path}: there are no results of many models in it", path=folder)
    return FleetShown(inner, found=tuple(found), done=len(found), total=len(found))


def show_fleet(context: Context, shown: FleetShown) -> None:
    """Show a fleet's table. Raises `InputError` while other models are audited."""
    from bdshift.errors import InputError

    if context.state.fleet is not None and context.state.fleet.running:
        raise InputError("Other models are being audited; pause them first.")
    context.session.update(fleet=shown, page=FleetPage())


def open_fleet(context: Context, folder: Path) -> None:
    """Show the results in a folder."""
    context.start(
        Sentence("Opening the results"), lambda job: read_fleet(folder),
        partial(show_fleet, context),
    )  # fmt: skip


def save_table(context: Context, path: Path) -> None:
    """Write the table as HTML, JSON or CSV, as the name ends."""
    shown, language = context.state.fleet, context.state.language
    assert shown is not None

    def run(job: JobContext) -> None:
        from bdshift.fleet.html import fleet_report
        from bdshift.outputs import Output

        output = Output(path, overwrite=True, inputs=(shown.folder,))
        output.write_text(fleet_report(shown.found, path, language))

    context.start(Sentence("Writing the table"), run, lambda _: say_written(context, path))
