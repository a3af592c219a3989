"""``bdshift report AUDIT.h5``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.errors import UsageError
from bdshift.outputs import Output
from bdshift.text import one_line
from bdshift.words import LANGUAGES, Language


@click.command("report", short_help="Write an audit as one page of HTML, as JSON or SARIF.")
@click.argument("audit_file", metavar="AUDIT.h5", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path),
              help="An HTML page, or what it ends in: .json, .sarif.")  # fmt: skip
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
    purification, author and notes, parameters, hashes. As JSON, all purifications are in it. As PDF
    it is written by ``bdshift-gui AUDIT.h5 --pdf OUT.pdf``.
    """
    from bdshift.audit.deciding import deciding_p
    from bdshift.reports.html_report import html_report
    from bdshift.reports.json_report import audit_json
    from bdshift.reports.purification_report import purification_json
    from bdshift.reports.sarif import SarifModel, sarif
    from bdshift.store import load_audit

    audit = load_audit(audit_file)
    output = Output(out, overwrite, (audit_file, *audit.inputs))
    output.check()
    if out.suffix.lower() == ".pdf":
        raise UsageError(
            "a PDF is written by bdshift-gui {audit} --pdf {out}", audit=audit_file, out=out
        )
    if out.suffix.lower() == ".json":
        made = [purification_json(audit, one) for one in audit.purifications]
        described = {**audit_json(audit), "purifications": made}
        text = json.dumps(described, indent=2) + "\n"
    elif out.suffix.lower() == ".sarif":
        found, model = audit.finding, audit.model
        text = sarif([SarifModel(model.path, model.sha256, found.level, str(found.statement),
                                 {"p": deciding_p(audit)})])  # fmt: skip
    else:
        text = html_report(audit, language, run)
    output.write_text(text)
    job.close()
    click.echo(one_line(f"{out}: {len(text):,} characters"))
