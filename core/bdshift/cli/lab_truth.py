"""``bdshift lab truth AUDIT.h5``."""

from __future__ import annotations

from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.paths import PATH
from bdshift.text import one_line


@click.command()
@click.argument("audit_file", metavar="AUDIT.h5", type=PATH)
@click.option("--card", type=PATH,
              help="What training has left; default: the one beside the model.")  # fmt: skip
@guarded
def truth(audit_file: Path, card: Path | None, job: ConsoleJob) -> None:
    """Say what a model of the lab really is, and whether its audit has found that."""
    from bdshift.audit.truth import card_beside, read_truth, reveal
    from bdshift.files import KeptPath
    from bdshift.store import load_audit

    audit = load_audit(audit_file)
    found = card or card_beside(KeptPath(audit.model.path).local())
    told = reveal(audit, read_truth(found))
    job.close()
    for one in told:
        click.echo(one_line(str(one)))
