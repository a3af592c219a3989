"""``bdshift export MODEL | AUDIT.h5``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdshift.cli.console import ARCH_HELP, ConsoleJob, guarded, refuse_to_lose
from bdshift.errors import UsageError
from bdshift.text import one_line

FORM_NAMES = ("as-it-came", "state-dict", "safetensors", "torchscript", "onnx")
_HDF5 = b"\x89HDF\r\n\x1a\n"


@click.command("export", short_help="Write a model in another form, and check it.")
@click.argument("source", metavar="MODEL | AUDIT.h5", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", default="as-it-came", show_default=True, type=click.Choice(FORM_NAMES)
)
@click.option("--run", type=int, default=0, metavar="N",
              help="Purification N of an audit, from 1; default: the audited model.")  # fmt: skip
@click.option("--model", type=click.Path(path_type=Path), help="The audit's model, if moved.")
@click.option("--arch", help=ARCH_HELP)
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    source: Path,
    out: Path,
    form: str,
    run: int,
    model: Path | None,
    arch: str | None,
    overwrite: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Write a model as torchscript, onnx, safetensors, a plain state dict, or as it came.

    The file is read again and its logits compared before it is called written. Of an audit, the
    audited model or one of its purifications is written, with the preprocessing that was found in
    the metadata; of a bare checkpoint, the first architecture that fits. Beside a purified model,
    OUT.json says where it came from.
    """
    from bdshift.audit import reopen_model
    from bdshift.audit.comparison import side
    from bdshift.checkpoints.classifier import open_checkpoint
    from bdshift.checkpoints.export import KEEPS_CODE, write_checkpoint
    from bdshift.images.preprocessing import Preprocessing, parse_normalization
    from bdshift.report.cleaning_report import export_cleaned
    from bdshift.store import load_audit

    refuse_to_lose(out, overwrite, source)
    metadata = {}
    cleaned = None
    if source.is_file() and source.open("rb").read(8) == _HDF5:
        audit = load_audit(source)
        cleaned = side(audit, run).run
        classifier = reopen_model(audit, model=model, arch=arch, job=job)
        metadata["bdshift"] = json.dumps({"source": audit.model.sha256})
    elif run:
        raise UsageError("--run is of an audit file")
    else:
        opened = open_checkpoint(source, arch=arch, job=job)
        classifier = opened.classifier(opened.candidates[0])
        plain = Preprocessing((*classifier.sizes, 32)[0], parse_normalization("none"))
        classifier = classifier.with_preprocessing(plain)
        if form in ("torchscript", "onnx"):
            job.note("The normalization is not known without an audit: none is written.")
    if cleaned is not None:
        told = export_cleaned(audit, cleaned, classifier, out, form, overwrite=overwrite)["export"]
    else:
        told = write_checkpoint(classifier, out, form, metadata=metadata, overwrite=overwrite)
    if told["keeps_code"]:
        job.note(KEEPS_CODE)
    job.close()
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(
            f"{one_line(str(out))}: {form}, {told['bytes']:,} bytes, SHA-256 {told['sha256']}\n"
            f"largest difference of the logits {told['logit_difference']:.2g}"
        )
