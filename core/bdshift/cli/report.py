"""``bdshift report AUDIT.h5``."""

from __future__ import annotations

from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.paths import PATH
from bdshift.outputs import Output
from bdshift.text import one_line
from bdshift.words import LANGUAGES, Language


@click.command("report", short_help="Write an audit as a page of HTML, as JSON, SARIF or ML-BOM.")
@click.argument("audit_file", metavar="AUDIT.h5", type=PATH)
@click.option("-o", "--out", required=True, type=PATH,
              help="Ends in .html, .json, .sarif, or .cdx.json for an ML-BOM.")  # fmt: skip
@click.option("--run", type=int, help="Which purification, from 1; 0 for none; default: the last.")
@click.option("--language", default="en", show_default=True, type=click.Choice(LANGUAGES))
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@guarded
def command(
    audit_file: Path,
    out: Path,
    run: int | None,
    language: Language,
    overwrite: bool,
    job: ConsoleJob,
) -> None:
    """Write a self-contained page: finding, plots, neurons with images, before and after a
    purification, author and notes, parameters, hashes. As JSON, all purifications are in it; SARIF
    2.1.0 is for code hosts, and a CycloneDX 1.6 ML-BOM for an inventory of models. As PDF it is
    written by ``bdshift-gui AUDIT.h5 --pdf OUT.pdf``.
    """
    from bdshift.steps.report import written_report
    from bdshift.store import load_audit

    audit = load_audit(audit_file)
    output = Output(out, overwrite, (audit_file, *audit.inputs))
    text = written_report(audit, output, run, language)
    job.close()
    click.echo(one_line(f"{out}: {len(text):,} characters"))
