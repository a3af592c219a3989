"""``bdshift diff OLD.h5 NEW.h5``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.paths import PATH


@click.command("diff", short_help="What changed from one audit to a later one.")
@click.argument("old", metavar="OLD.h5", type=PATH)
@click.argument("new", metavar="NEW.h5", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(old: Path, new: Path, as_json: bool, job: ConsoleJob) -> None:
    """Compare two audits of one model, made at different times or with other settings: settings,
    finding, suspected class, norms, triggers, purified models. If the models differ, it says so.
    """
    from bdshift.audit.since import Since
    from bdshift.reports.since_table import since_json, since_text
    from bdshift.store import load_audit

    found = Since(load_audit(old), load_audit(new))
    job.close()
    click.echo(json.dumps(since_json(found), indent=2) if as_json else since_text(found))
