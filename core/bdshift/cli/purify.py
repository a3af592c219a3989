"""``bdshift purify MODEL IMAGES | AUDIT.h5``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.console import (
    ConsoleJob,
    arch_option,
    guarded,
    images_option,
    model_option,
    require_folder,
)
from bdshift.cli.explained import form_option, method_option, trigger_option, trigger_text
from bdshift.cli.next_command import after_purification
from bdshift.cli.paths import PATH
from bdshift.cli.scan_options import refuse_scan_options, scan_options
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.text import one_line
from bdshift.writing import remove

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.asked import AskedScan
    from bdshift.checkpoints.users_own import Architecture
    from bdshift.jobs import JobContext


@click.command("purify", short_help="Remove the backdoor, and write the purified model.")
@click.argument("sources", nargs=-1, required=True, type=PATH,
                metavar="MODEL IMAGES | AUDIT.h5")  # fmt: skip
@click.option("-o", "--out", required=True, type=PATH, help="The purified model.")
@method_option
@click.option("--target", default="auto", show_default=True,
              help="Poisoned class; auto: the one that the audit flags.")  # fmt: skip
@click.option("--held-out", default=0.2, show_default=True, help="Share of the images held out.")
@trigger_option("Report attack success under it: ")
@click.option("--unlearn", metavar="TRIGGER", type=trigger_text,
              help="The trigger that a method such as tbar unlearns; default: the one recovered in "
              "the audit file for this class, or --trigger.")  # fmt: skip
@click.option("--test", type=PATH,
              help="Other images to report on; default: the held-out ones.")  # fmt: skip
@form_option
@model_option
@images_option
@arch_option
@scan_options
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    sources: tuple[Path, ...],
    out: Path,
    method_text: str,
    target: str,
    held_out: float,
    trigger: str | None,
    unlearn: str | None,
    test: Path | None,
    form_name: str,
    model: Path | None,
    images: Path | None,
    arch: Architecture | None,
    asked: AskedScan,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Purify a model. Give the audit file of a scan, or the model and the images to scan first, as
    bdshift scan does, with its options; --quick is enough where --target names the class.

    If interrupted, the same command resumes after the last finished step. The source model is never
    modified. An audit file gets the purification added, with its weights unless the audit was saved
    without embeddings; next to the purified model OUT, OUT.json says what was done and with which
    results.
    """
    if len(sources) > 2:
        raise UsageError("give an audit file, or a model and its images")
    labels = None if asked.labels is None else Path(asked.labels)
    inputs = tuple(filter(None, (*sources, model, images, test, labels)))
    require_folder(out)
    output = _checked(Output(out, overwrite, inputs), job)
    from bdshift.audit import reopen, scan_opened
    from bdshift.checkpoints.classifier import open_checkpoint
    from bdshift.checkpoints.export import EXPORT_FORMS, KEEPS_CODE
    from bdshift.images.collection import needs_labels, open_images
    from bdshift.purification import METHODS
    from bdshift.reports.purification_report import (
        export_purified,
        purification_text,
        purified_json,
    )
    from bdshift.setting import files_of
    from bdshift.shift.cache import EmbeddingCache
    from bdshift.steps.purify import purified, unlearns_nothing
    from bdshift.store import change_audit, has_purification, load_audit
    from bdshift.triggers import parse_trigger, trigger_files

    form = EXPORT_FORMS.parse(form_name)
    form.require()
    method = METHODS.parse(method_text)
    applied, to_unlearn = (parse_trigger(text) if text else None for text in (trigger, unlearn))
    for text in filter(None, (trigger, unlearn)):
        inputs += trigger_files(text)
    inputs += files_of(method)
    if unlearn and not method.sees_trigger:
        raise unlearns_nothing(method)
    if len(sources) == 1:
        refuse_scan_options()
        Output(sources[0].resolve(), overwrite=True).check()
        audit = load_audit(sources[0])
        inputs += audit.inputs
        if not audit.images.labeled:
            raise InputError(needs_labels(audit.images.path))
        material = reopen(audit, model=model, images=images, arch=arch, job=job)
    else:
        settings = asked.settings(arch)
        collection = open_images(sources[1], job=job)
        collection.require_labels()
        opened = open_checkpoint(sources[0], arch=arch, weights=settings.weights, job=job)
        audit, material = scan_opened(opened, collection, settings, cache=EmbeddingCache(), job=job)
    output = _checked(replace(output, inputs=inputs), job)
    state = output.beside(".state").path
    if not output.resumed:
        remove(state)  # nothing, or --overwrite was given
    made = purified(
        audit, material, method, target, held_out=held_out, trigger=applied, unlearn=to_unlearn,
        test=test, seed=asked.seed, device=asked.device, resume=state, job=job,
    )  # fmt: skip

    def with_made(now: Audit) -> Audit:
        if not now.fits(audit):  # it may have been replaced meanwhile
            raise InputError("{path}: is now another audit; nothing is added", path=sources[0])
        if has_purification(now, made):  # added by a run that was killed afterward
            return now
        return replace(now, purifications=(*now.purifications, made))

    written = export_purified(with_made(audit), made, material.classifier, output, form)
    audit = with_made(audit)
    if len(sources) == 1:
        change_audit(sources[0], with_made, job=job)
    remove(state)
    if written.keeps_code:
        job.note(KEEPS_CODE)
    job.close()
    if as_json:
        click.echo(json.dumps(purified_json(audit, made, written), indent=2))
    else:
        click.echo(purification_text(audit))
        click.echo(f"\nPurified model: {one_line(str(out))}, {one_line(str(out))}.json")
        if len(sources) == 1:
            click.echo(after_purification(sources[0]))


def _checked(output: Output, job: JobContext) -> Output:
    """The purified model's file, if it, the record and the state beside it may be written."""
    from bdshift.resume import is_state

    state = output.beside(".state").path
    output = replace(output, resumed=os.path.lexists(state) and is_state(state, job))
    for one in (output, output.beside(".json"), output.beside(".state")):
        one.check()
    return output
