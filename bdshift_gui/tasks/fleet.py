"""Audits many models, beside whatever else the window does, and shows their table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.fleet_shown import AskedAgain, FleetShown
from bdshift_gui.pages import FleetPage

if TYPE_CHECKING:
    from bdshift.fleet.task import FleetModel


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
    if shown is None or shown.running or not (shown.named or shown.other):
        return

    def run(job: JobContext) -> None:
        from bdshift.fleet.drive import run_fleet
        from bdshift.fleet.listing import list_models
        from bdshift.fleet.local import LocalEngine
        from bdshift.fleet.task import FleetModel

        models: Sequence[FleetModel] = ()
        if shown.named:
            models = list_models(shown.named, FleetModel("", shown.images), job)
        if shown.other is not None:
            listed = {one.path: one for one in models}
            models = [
                _asked_again(listed.get(path, FleetModel(path, images)), shown.other.settings)
                for path, images in shown.other.models
            ]
        engine = LocalEngine(max(1, (os.cpu_count() or 1) - 1))  # the window needs one, too
        run_fleet(models, shown.folder, engine, again=again, job=job)

    context.session.update(fleet=replace(shown, running=True), failure=None)
    context.fleet_jobs.start(Sentence("Auditing models"), run, partial(_done, context))


def _asked_again(model: FleetModel, settings: Mapping[str, Any]) -> FleetModel:
    """The model as it was listed, with other ``settings`` of its scan."""
    return replace(model, asked=replace(model.asked, **settings))


def _done(context: Context, _: object) -> None:
    """Whatever was asked again is answered: the counts are those of all models again."""
    shown = context.state.fleet
    if shown is not None and shown.other is not None:
        done, total = shown.other.counts
        context.session.update(fleet=replace(shown, other=None, done=done, total=total))


def audit_again(context: Context, settings: Mapping[str, Any]) -> None:
    """Audit the selected models with other ``settings``, fields of `AskedScan`; their rows become
    those results.
    """
    shown = context.state.fleet
    if shown is None or shown.running:
        return
    models = tuple(
        (one.row.model, one.row.images) for one in shown.found if one.row.model in shown.chosen
    )
    other = AskedAgain(models, settings, (shown.done, shown.total))
    context.session.update(fleet=replace(shown, other=other, done=0, total=len(models)))
    go_on(context)


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
    """Write the table as HTML, JSON, CSV or SARIF, as the name ends."""
    shown, language = context.state.fleet, context.state.language
    assert shown is not None

    def run(job: JobContext) -> None:
        from bdshift.fleet.html import fleet_report
        from bdshift.fleet.results import AUDITS
        from bdshift.kinds import RESULTS
        from bdshift.outputs import Output

        inputs = shown.folder / RESULTS, shown.folder / AUDITS
        output = Output(path, overwrite=True, inputs=inputs)
        output.write_text(fleet_report(shown.found, path, shown.folder, language))

    context.start(Sentence("Writing the table"), run, lambda _: context.say_written(path))
