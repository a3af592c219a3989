"""``bdshift demo``: the audit of a model that really is backdoored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from bdshift.cli.color import with_colored_headline
from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.next_command import command_line
from bdshift.cli.paths import PATH
from bdshift.outputs import Output


@click.command("demo", short_help="Audit a model that really is backdoored.")
@click.option(
    "-o", "--out", "folder", default="bdshift-demo", show_default=True,
    type=PATH,
    help="Folder for the models, the images and the audit file.",
)  # fmt: skip
@click.option("--quick", is_flag=True, help="Judge the embedding alone; search for no triggers.")
@guarded
def command(folder: Path, quick: bool, job: ConsoleJob) -> None:
    """Audit the bundled backdoored traffic-sign model, and show the neurons its trigger moves.

    The model reads a sign with a small yellow sticker as a speed limit of 80. What was added to the
    audit file of an earlier demo is kept.
    """
    from bdshift.demo import SEARCH_SECONDS, audit_victim, is_of_demo
    from bdshift.reports.text_report import audit_text, neurons_text
    from bdshift.store import save_merged

    output = Output(folder / "victim.h5")
    if folder.is_dir():
        output = replace(output, overwrite=is_of_demo(output.path))
        output.check()
    audit = audit_victim(folder, job, budget=0.0 if quick else SEARCH_SECONDS)
    [tac] = audit.tac
    save_merged(audit, output, job=job)
    job.close()
    click.echo(with_colored_headline(audit_text(audit), audit.finding.level))
    click.echo("\n" + neurons_text(audit, tac.target, tac, top=8))
    click.echo(
        f"\nAudit file: {output.path}"
        f"\nTry its clean twin: "
        f"{command_line('scan', str(folder / 'clean-twin.pth'), str(folder / 'clean'))}"
    )
