"""``bdshift vector AUDIT.h5 | MODEL OTHER``."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.console import ConsoleJob, arch_option, guarded, model_option
from bdshift.cli.paths import PATH
from bdshift.errors import UsageError
from bdshift.outputs import Output
from bdshift.text import one_line

if TYPE_CHECKING:
    from bdshift.checkpoints.users_own import Architecture


@click.command("vector", short_help="Write a task vector: the difference of two networks.")
@click.argument("sources", nargs=-1, required=True, type=PATH,
                metavar="AUDIT.h5 | MODEL OTHER")  # fmt: skip
@click.option("-o", "--out", required=True, type=PATH, help="A safetensors file.")
@click.option("--run", type=int, default=None, metavar="N",
              help="Purification N of an audit, from 1; default: the last.")  # fmt: skip
@model_option
@arch_option
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    sources: tuple[Path, ...],
    out: Path,
    run: int | None,
    model: Path | None,
    arch: Architecture | None,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Write what a purification has subtracted a multiple of, or what OTHER has learned since
    MODEL, two checkpoints of one architecture; of CLIP models, the image tower.

    The file is subtracted from any network of that architecture by bdshift purify --method
    tbar:vector=FILE, where alpha=1 says how much of it; the multiple that was subtracted is told
    beside the file's name. A negative alpha adds it, which undoes that.
    """
    from bdshift.audit import reopen_model
    from bdshift.audit.comparison import purification_of
    from bdshift.audit.task_vectors import vector_between, vector_of
    from bdshift.audit.zero_shot import any_head
    from bdshift.checkpoints.classifier import open_checkpoint
    from bdshift.purification.vectors import length
    from bdshift.store import load_audit

    if len(sources) > 2:
        raise UsageError("give an audit file, or two models")
    inputs = (*sources, *(() if model is None else (model,)))
    output = Output(out, overwrite, inputs)
    output.check()
    if len(sources) == 2:
        if run is not None:
            raise UsageError("--run needs an audit file")
        first, second = (any_head(open_checkpoint(path, arch=arch, job=job)) for path in sources)
        found = vector_between(first.load(first.candidates[0]), second.load(second.candidates[0]))
    else:
        audit = load_audit(sources[0])
        made = purification_of(audit, sources[0], run)
        output = replace(output, inputs=(*inputs, *audit.inputs))
        found = vector_of(audit, made, reopen_model(audit, model=model, arch=arch, job=job))
    output.write(found.content())
    job.close()
    size = length(found.vector)
    if as_json:
        about = {**asdict(found.about), "length": size, "tensors": len(found.vector)}
        click.echo(json.dumps({"path": str(out), **about}, indent=2))
    else:
        alpha = f", alpha {found.about.alpha:.4g}" if found.about.alpha else ""
        text = f"Task vector: {one_line(str(out))}, {len(found.vector)} tensors, L2 {size:.4g}"
        click.echo(f"{text}{alpha}")
