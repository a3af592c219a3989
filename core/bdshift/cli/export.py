"""``bdshift export MODEL | AUDIT.h5``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.console import ConsoleJob, arch_option, guarded
from bdshift.cli.explained import form_option
from bdshift.cli.paths import PATH
from bdshift.errors import UsageError
from bdshift.outputs import Output
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
    from bdshift.audit import reopen_model
    from bdshift.audit.comparison import side
    from bdshift.checkpoints.classifier import open_checkpoint
    from bdshift.checkpoints.export import EXPORT_FORMS, KEEPS_CODE, write_checkpoint
    from bdshift.images.preprocessing import Preprocessing, parse_normalization
    from bdshift.kinds import kind_of
    from bdshift.reports.purification_report import export_purified
    from bdshift.store import load_audit

    inputs: tuple[Path, ...] = (source,) if model is None else (source, model)
    output = Output(out, overwrite, inputs)
    output.check()
    form = EXPORT_FORMS.parse(form_name)
    metadata = {}
    purification = None
    if kind_of(source) == "audit":
        audit = load_audit(source)
        purification = side(audit, run).purification
        inputs += audit.inputs
        classifier = reopen_model(audit, model=model, arch=arch, job=job)
        metadata["bdshift"] = json.dumps({"source": audit.model.sha256})
    elif run:
        raise UsageError("--run needs an audit file")
    else:
        opened = open_checkpoint(source, arch=arch, job=job)
        loaded = opened.load(opened.candidates[0])
        plain = Preprocessing((*loaded.sizes, 32)[0], parse_normalization("none"))
        classifier = loaded.with_preprocessing(plain)
        if form.is_graph:
            job.note("The normalization is not known without an audit: none is written.")
    if purification is not None:
        written = export_purified(
            audit, purification, classifier, replace(output, inputs=inputs), form
        )
    else:
        written = write_checkpoint(
            classifier, replace(output, inputs=inputs), form, metadata=metadata
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
