"""``bdshift demo``: the audit of a model that really is backdoored."""

from __future__ import annotations

from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded


@click.command("demo", short_help="Audit a model that really is backdoored.")
@click.option(
    "--out", "folder", default="bdshift-demo", show_default=True, type=click.Path(path_type=Path),
    help="Folder for the models, the images and the audit file.",
)  # fmt: skip
@guarded
def command(folder: Path, job: ConsoleJob) -> None:
    """Audit the bundled backdoored traffic-sign model, and show the neurons its trigger moves.

    The model reads a sign with a small yellow sticker as a speed limit of 80.
    """
    from bdshift.demo import audit_victim
    from bdshift.report.text_report import audit_text, neurons_text
    from bdshift.store import save_audit

    audit = audit_victim(folder, job)
    [tac] = audit.tac
    path = folder / "victim.h5"
    save_audit(audit, path)
    job.close()
    click.echo(audit_text(audit))
    click.echo("\n" + neurons_text(audit, tac.target, tac, top=8))
    click.echo(
        f"\nAudit file: {path}"
        f"\nTry its clean twin: bdshift scan {folder / 'clean-twin.pth'} {folder / 'clean'}"
    )
