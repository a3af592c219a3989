"""``bdshift disentanglement AUDIT.h5 --pre MODEL``."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import astuple
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
from bdshift.errors import UsageError
from bdshift.outputs import Output
from bdshift.text import one_line

if TYPE_CHECKING:
    from bdshift.audit.disentangling import Mixture
    from bdshift.checkpoints.users_own import Architecture


@click.command("disentanglement", short_help="Measure whether a backdoor is a part of its own.")
@click.argument("audit_file", metavar="AUDIT.h5", type=click.Path(path_type=Path))
@click.option("--pre", required=True, type=click.Path(path_type=Path), metavar="MODEL",
              help="What the audited model was made from, such as the public CLIP.")  # fmt: skip
@click.option("--out", required=True, type=click.Path(path_type=Path),
              help="A JSON file; a picture is written beside it, OUT.svg.")  # fmt: skip
@click.option("--trigger", help="Default: the one that was unlearned.")
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
    out: Path,
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
    what the purification has removed. If interrupted, the same command goes on after the last
    point.
    """
    require_folder(out)
    inputs = tuple(filter(None, (audit_file, pre, model, images)))
    output = Output(out, overwrite, inputs)
    for written in (output, output.beside(".svg")):
        written.check()
    from bdshift.audit import reopen
    from bdshift.audit.comparison import side
    from bdshift.audit.disentangling import POINTS, Plane, measure_plane, places, plane_json
    from bdshift.audit.zero_shot import open_base
    from bdshift.report.heat_map import draw_plane
    from bdshift.resume import state_beside, write_state
    from bdshift.store import load_audit
    from bdshift.triggers import parse_trigger
    from bdshift.writing import remove

    places(points)
    audit = load_audit(audit_file)
    if not audit.purifications:
        raise UsageError("{path}: holds no purification", path=audit_file)
    made = side(audit, len(audit.purifications) if run is None else run).purification
    if made is None:
        raise UsageError("the original is no purification: give --run 1 or more")
    text = trigger or made.unlearned
    if not text:
        raise UsageError("the purification saw no trigger: give --trigger")
    state = state_beside(out, "plane", job)
    material = reopen(audit, model=model, images=images, arch=arch, job=job)
    base = open_base(pre, audit, arch, job)
    plane = Plane(audit, material, made, base, parse_trigger(text), device=device, job=job)
    found = _known(state, plane.identity, job)
    for mixture in measure_plane(
        plane, found, (*(one for one in POINTS if one < points), points), job=job
    ):
        found.append(mixture)
        write_state(state, {"identity": plane.identity, "points": [astuple(one) for one in found]})
    grid = set(places(points))
    shown = [one for one in found if (one.alpha_clean, one.alpha_trigger) in grid]
    about = {
        "model": audit.model.sha256, "pre": base.sha256, "method": made.result.method,
        "trigger": text, "target": made.result.target,
    }  # fmt: skip
    output.write_text(json.dumps(plane_json(shown, about), indent=1) + "\n")
    output.beside(".svg").write_text(draw_plane(shown))
    remove(state)
    job.close()
    at = {(one.alpha_clean, one.alpha_trigger): one for one in shown}
    if (1.0, 1.0) in at:
        one = at[1.0, 1.0]
        click.echo(
            f"ξ(1, 1) = {one.error:.3f}: {one.clean:.1%} of the clean images and "
            f"{one.triggered:.1%} of the triggered ones get other answers"
        )
    click.echo(f"{one_line(str(out))}, {one_line(str(out))}.svg")


def _known(state: Path, identity: str, job: ConsoleJob) -> list[Mixture]:
    """The points that an interrupted run of the same has measured."""
    import torch

    from bdshift.audit.disentangling import Mixture
    from bdshift.errors import InputError
    from bdshift.resume import read_state

    if not state.exists():
        return []
    with suppress(InputError):
        kept = read_state(state, torch.device("cpu"), job)
        if kept["identity"] == identity:
            job.note("Resuming after {count} points", count=len(kept["points"]))
            return [Mixture(*one) for one in kept["points"]]
    return []
