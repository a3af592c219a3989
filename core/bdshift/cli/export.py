"""``bdshift export MODEL | AUDIT.h5``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.console import ConsoleJob, arch_option, guarded
from bdshift.cli.explained import form_option
from bdshift.cli.paths import PATH
from bdshift.text import one_line

if TYPE_CHECKING:
    from bdshift.checkpoints.users_own import Architecture


@click.command("export", short_help="Write a model in another format, and verify it.")
@click.argument("source", metavar="MODEL | AUDIT.h5", type=PATH)
@click.option("-o", "--out", required=True, type=PATH)
@form_option
@click.option("--run", type=int, default=0, metavar="N",
              help="Purification N of an audit, from 1; default: the audited model.")  # fmt: skip
@click.option("--model", type=PATH, help="The audit's model, if moved.")
@arch_option
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    source: Path,
    out: Path,
    form_name: str,
    run: int,
    model: Path | None,
    arch: Architecture | None,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Write a model in its original format, or in another one.

    The file is read back and its logits are compared before it counts as written. From an audit it
    writes the audited model or one of its purifications, with the preprocessing in the metadata;
    from a bare checkpoint, the first architecture that fits. OUT.json, next to a purified
    model, says where it came from.
    """
    from bdshift.checkpoints.export import KEEPS_CODE
    from bdshift.steps.export import export

    written = export(
        source, out, form=form_name, run=run, model=model, arch=arch, overwrite=overwrite, job=job
    )
    if written.keeps_code:
        job.note(KEEPS_CODE)
    job.close()
    if as_json:
        click.echo(json.dumps(written.as_json(), indent=2))
    else:
        click.echo(
            f"{one_line(str(out))}: {written.form}, {written.size:,} bytes, SHA-256 "
            f"{written.sha256}\nlargest difference of the logits {written.logit_difference:.2g}"
        )
