"""``bdshift disentanglement AUDIT.h5 --pre MODEL``."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import astuple, replace
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
from bdshift.cli.explained import trigger_text
from bdshift.cli.paths import PATH
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.text import one_line

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.checkpoints.users_own import Architecture
    from bdshift.purification.disentanglement import Mixture


@click.command("disentanglement", short_help="Measure whether a backdoor is a part of its own.")
@click.argument("audit_file", metavar="AUDIT.h5", type=PATH)
@click.option("--pre", required=True, type=PATH, metavar="MODEL",
              help="What the audited model was made from, such as the public CLIP.")  # fmt: skip
@click.option("-o", "--out", type=PATH,
              help="Also a JSON file; a picture is written beside it, OUT.svg.")  # fmt: skip
@click.option("--trigger", type=trigger_text, help="Default: the one that was unlearned.")
@click.option("--run", type=int, default=None, metavar="N",
              help="Purification N of the audit, from 1; default: the last.")  # fmt: skip
@click.option("--points", default=13, show_default=True,
              help="Along each axis; 7 of them first, if it is 13.")  # fmt: skip
@model_option
@images_option
@arch_option
@click.option("--device", default="auto", show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@guarded
def command(
    audit_file: Path,
    pre: Path,
    out: Path | None,
    trigger: str | None,
    run: int | None,
    points: int,
    model: Path | None,
    images: Path | None,
    arch: Architecture | None,
    device: str,
    overwrite: bool,
    job: ConsoleJob,
) -> None:
    """Measure the weight-disentanglement error ξ of a backdoor over a plane: how much the answers
    for clean images depend on how much of the backdoor is in the weights, and those for triggered
    images on how much of the clean task is. 0 is none, 2 is all.

    The weights are taken apart into those of --pre, what the purified model has learned since, and
    what the purification has removed. The points are added to the audit. If interrupted, the same
    command goes on after the last one.
    """
    outputs = []
    if out is not None:
        require_folder(out)
        inputs = tuple(filter(None, (audit_file, pre, model, images)))
        output = Output(out, overwrite, inputs)
        outputs = [output, output.beside(".svg")]
    for written in outputs:
        written.check()
    from bdshift.audit import reopen
    from bdshift.audit.comparison import purification_of
    from bdshift.audit.disentangling import Plane, measure_plane, with_plane
    from bdshift.audit.zero_shot import open_base
    from bdshift.purification.disentanglement import grids, places, plane_json
    from bdshift.reports.heat_map import draw_plane
    from bdshift.resume import state_beside, write_state
    from bdshift.store import change_audit, load_audit, same_run
    from bdshift.triggers import parse_trigger, trigger_files
    from bdshift.writing import remove

    grid = set(places(points))
    Output(audit_file.resolve(), overwrite=True).check()
    audit = load_audit(audit_file)
    made = purification_of(audit, audit_file, run)
    text = trigger or made.unlearned
    if not text:
        raise UsageError("the purification saw no trigger: give --trigger")
    used = (*audit.inputs, *trigger_files(text))
    outputs = [replace(one, inputs=(*one.inputs, *used)) for one in outputs]
    for written in outputs:
        written.check()
    state = state_beside(audit_file, "plane", job)
    material = reopen(audit, model=model, images=images, arch=arch, job=job)
    base = open_base(pre, audit, arch, job)
    plane = Plane(audit, material, made, base, parse_trigger(text), device=device, job=job)
    found = [*plane.known, *_known(state, plane.identity, job)]
    for mixture in measure_plane(plane, found, grids(points), job=job):
        found.append(mixture)
        write_state(state, {"identity": plane.identity, "points": [astuple(one) for one in found]})
    measured = plane.record(one for one in found if one.place in grid)

    def added(now: Audit) -> Audit:
        same = [one for one, its in enumerate(now.purifications, 1) if same_run(its, made)]
        if not same:
            raise InputError("{path}: no longer holds the purification", path=audit_file)
        return with_plane(now, same[0], measured)

    change_audit(audit_file, added, job=job)
    if outputs:
        about = {
            "model": audit.model.sha256, "pre": base.sha256, "method": made.result.method,
            "trigger": text, "target": made.result.target,
        }  # fmt: skip
        outputs[0].write_text(
            json.dumps({**about, **plane_json(measured.mixtures)}, indent=1) + "\n"
        )
        outputs[1].write_text(draw_plane(measured.mixtures))
    remove(state)
    job.close()
    if measured.audited is not None:
        click.echo(measured.audited.sentence)
    for written in outputs:
        click.echo(one_line(str(written.path)))


def _known(state: Path, identity: str, job: ConsoleJob) -> list[Mixture]:
    """The points that an interrupted run of the same has measured."""
    import torch

    from bdshift.purification.disentanglement import Mixture
    from bdshift.resume import read_state

    if not state.exists():
        return []
    with suppress(InputError):
        kept = read_state(state, torch.device("cpu"), job)
        if kept["identity"] == identity:
            job.note("Resuming after {count} points", count=len(kept["points"]))
            return [Mixture(*one) for one in kept["points"]]
    return []
