"""``bdshift demo``: a model that really is backdoored, audited before your eyes."""

from __future__ import annotations

import json
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
    from bdshift.assets import asset
    from bdshift.audit import ScanSettings, add_tac, reopen
    from bdshift.audit import scan as run
    from bdshift.demo import prepare
    from bdshift.report.text_report import audit_text, neurons_text
    from bdshift.store import save_audit
    from bdshift.triggers import parse_trigger

    model, images = prepare(folder, job)
    audit = run(model, images, ScanSettings(), job=job)
    card = json.loads(asset("demo/victim.json").read_text(encoding="utf-8"))
    trigger = parse_trigger(card["recipe"]["attack"])
    target = audit.images.class_names.index(card["recipe"]["target"])
    classifier, clean = reopen(audit, job=job)
    audit = add_tac(audit, classifier, clean, trigger, target, job=job)
    path = folder / "victim.h5"
    save_audit(audit, path)
    job.close()
    click.echo(audit_text(audit))
    click.echo("\n" + neurons_text(audit, target, audit.tac[-1], top=8))
    click.echo(
        f"\nAudit file: {path}"
        f"\nTry its clean twin: bdshift scan {folder / 'clean-twin.pth'} {folder / 'clean'}"
    )
