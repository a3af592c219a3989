"""``bdshift recover MODEL IMAGES | AUDIT.h5``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.budgets import RECOVERY_SECONDS
from bdshift.cli.console import (
    ConsoleJob,
    arch_option,
    guarded,
    images_option,
    model_option,
    require_folder,
)
from bdshift.cli.explained import change_option
from bdshift.cli.next_command import after_recovery
from bdshift.cli.paths import PATH
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.text import one_line
from bdshift.writing import remove

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.checkpoints.users_own import Architecture


@click.command("recover", short_help="Search for a trigger, without knowing one.")
@click.argument("sources", nargs=-1, required=True, type=PATH,
                metavar="MODEL IMAGES | AUDIT.h5")  # fmt: skip
@click.option("--target", default="auto", show_default=True,
              help="Class to search a trigger for, by name or index; auto: the one that is "
              "suspected, or else every class.")  # fmt: skip
@change_option
@click.option("--source", default="auto", show_default=True, metavar="auto|all|CLASS",
              help="Classes whose images are searched on, for attacks from one class to another. "
              "auto: all; and if that is no evidence, single classes, as far as the budget "
              "goes.")  # fmt: skip
@click.option("--budget", default=RECOVERY_SECONDS, show_default=True,
              type=click.FloatRange(min=0, min_open=True),
              help="Seconds that the search should take, roughly.")  # fmt: skip
@click.option("-o", "--out", type=PATH, metavar="TRIGGER.safetensors",
              help="Write the trigger, for --trigger of other commands; beside it a card and a "
              "picture.")  # fmt: skip
@model_option
@images_option
@arch_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--seed", default=0, show_default=True, help="Seed of all random choices.")
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    sources: tuple[Path, ...],
    target: str,
    kind_text: str,
    source: str,
    budget: float,
    out: Path | None,
    model: Path | None,
    images: Path | None,
    arch: Architecture | None,
    device: str,
    seed: int,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Search for the smallest change of images that sends them to a class, and compare it with what
    other classes take. Give the audit file of a scan, or the model and the images to scan first.

    If interrupted, the same command goes on after the last finished kind of change. An audit file
    gets the result added, and so does its finding. OUT works wherever a trigger can
    be given, as recovered:file=OUT or by the card OUT.json; OUT.png is its picture.
    """
    if len(sources) > 2:
        raise UsageError("give an audit file, or a model and its images")
    given = tuple(filter(None, (*sources, model, images)))
    output = None
    if out is not None:
        require_folder(out)
        output = Output(out, overwrite, given)
        output.check()
    from bdshift.audit import ScanSettings, reopen, scan_opened, with_recovery
    from bdshift.changes import CHANGES
    from bdshift.checkpoints.classifier import open_checkpoint
    from bdshift.images.collection import open_images
    from bdshift.reports.json_report import finding_json
    from bdshift.reports.json_schema import with_schema
    from bdshift.reports.recovery_json import recovery_json
    from bdshift.reports.recovery_report import (
        check_trigger_outputs,
        recovery_text,
        write_trigger,
    )
    from bdshift.resume import state_beside
    from bdshift.shift.cache import EmbeddingCache
    from bdshift.steps.recover import recovered
    from bdshift.store import change_audit, load_audit

    kind = None if kind_text == "auto" else CHANGES.parse(kind_text)
    state = None
    if len(sources) == 1:
        Output(sources[0].resolve(), overwrite=True).check()
        state = state_beside(sources[0].resolve(), "recover", job)
        audit = load_audit(sources[0])
        material = reopen(audit, model=model, images=images, arch=arch, job=job)
    else:
        collection = open_images(sources[1], job=job)
        opened = open_checkpoint(sources[0], arch=arch, job=job)
        settings = ScanSettings(arch=arch, device=device, seed=seed)
        audit, material = scan_opened(opened, collection, settings, cache=EmbeddingCache(), job=job)
    if output is not None:
        output = replace(output, inputs=(*given, *audit.inputs))
        check_trigger_outputs(output)
    recovery = recovered(
        audit, material, target, kind, source, budget=budget, seed=seed, device=device,
        resume=state, job=job,
    )  # fmt: skip
    audit = with_recovery(audit, recovery)
    if output is not None:
        write_trigger(audit, recovery, output)
    job.close()
    if as_json:
        told = {"recovery": recovery_json(audit, recovery), "finding": finding_json(audit.finding)}
        click.echo(json.dumps(with_schema("recover", told), indent=2))
    else:
        click.echo(recovery_text(audit, recovery))
        if out is not None:
            click.echo(f"\nTrigger: {one_line(str(out))}, with {one_line(out.name)}.json and .png")
        if len(sources) == 1:
            click.echo(f"\n{after_recovery(audit, recovery, sources[0], out)}")
    if len(sources) == 2:
        return

    def with_recovered(now: Audit) -> Audit:
        if not now.fits(audit):  # it may have been replaced meanwhile
            raise InputError("{path}: is now another audit; nothing is added", path=sources[0])
        return with_recovery(now, recovery)

    change_audit(sources[0], with_recovered, job=job)  # last: its result has been told
    if state is not None:
        remove(state)
