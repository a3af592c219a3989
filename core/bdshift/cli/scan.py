"""``bdshift scan MODEL IMAGES``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bdshift.cli.console import ARCH_HELP, EXIT_SUSPICIOUS, WEIGHTS_HELP, ConsoleJob, guarded
from bdshift.errors import UsageError
from bdshift.text import one_line


def parse_sample(text: str) -> int | float | None:
    """``all``, a count as 2500, or a share as 0.05 or 5%. Raises `UsageError`."""
    try:
        if text == "all":
            return None
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return int(text) if text.isdecimal() else float(text)
    except ValueError as error:
        raise UsageError(
            f"--sample is a count, a share as 0.05 or 5%, or all, not {text}"
        ) from error


@click.command("scan", short_help="Audit a checkpoint with a folder of clean images.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write the audit file (.h5) here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--alpha",
    default=0.1,
    show_default=True,
    help="Cross-entropy that a shift must reach (α of Eq. 4).",
)
@click.option("--beta", default=2.0, show_default=True, help="Threshold β of --rule paper.")
@click.option(
    "--rule", default="grubbs", show_default=True, metavar="[grubbs|mad|paper]", help="Decides."
)
@click.option(
    "--solver",
    default="exact",
    show_default=True,
    metavar="[exact|adam]",
    help="adam is the paper's.",
)
@click.option("--sample", default="2500", show_default=True, help="Count, share (5%) or all.")
@click.option("--normalize", help="A known name, or mean/std; default: try all known.")
@click.option("--labels", type=click.Path(path_type=Path), help="Class-name file.")
@click.option("--arch", help=ARCH_HELP)
@click.option("--weights", help=WEIGHTS_HELP)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--batch", type=int, help="Most images at a time; default: by free memory.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample.")
@click.option("--embeddings/--no-embeddings", default=True, help="Keep them in the audit file.")
@click.option("--cache/--no-cache", default=True, help="Reuse embeddings computed before.")
@click.option(
    "--fail-on", type=click.Choice(["suspicious"]), help="Exit with 1 if a class is flagged."
)
@guarded
def command(
    model: Path,
    images: Path,
    out: Path | None,
    as_json: bool,
    sample: str,
    embeddings: bool,
    cache: bool,
    fail_on: str | None,
    job: ConsoleJob,
    **options: object,
) -> None:
    """Audit the checkpoint MODEL with IMAGES, a folder or zip of one sub-folder a class."""
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.absolute().parent}")
    from bdshift.audit import ScanSettings
    from bdshift.audit import scan as run
    from bdshift.report.json_report import audit_json
    from bdshift.report.text_report import audit_text
    from bdshift.shift.cache import EmbeddingCache
    from bdshift.store import save_audit

    settings = ScanSettings(sample=parse_sample(sample), **options)  # type: ignore[arg-type]
    audit = run(model, images, settings, cache=EmbeddingCache() if cache else None, job=job)
    job.close()
    if out is not None:
        save_audit(audit, out, embeddings=embeddings)
    if as_json:
        click.echo(json.dumps(audit_json(audit), indent=2))
    else:
        click.echo(audit_text(audit))
        if out is not None:
            click.echo(f"\nAudit file: {one_line(str(out))}")
    if fail_on and audit.verdict.suspicious:
        sys.exit(EXIT_SUSPICIOUS)
