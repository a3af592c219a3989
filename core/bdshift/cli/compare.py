"""``bdshift compare AUDIT.h5``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.paths import PATH
from bdshift.errors import UsageError


@click.command("compare", short_help="The original and its purifications, side by side.")
@click.argument("audit_file", metavar="AUDIT.h5", type=PATH)
@click.argument("first", type=int, required=False, metavar="[A")
@click.argument("second", type=int, required=False, metavar="B]")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table of all models as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print the table of all models as JSON.")
@guarded
def command(
    audit_file: Path,
    first: int | None,
    second: int | None,
    as_csv: bool,
    as_json: bool,
    job: ConsoleJob,
) -> None:
    """Without A and B, a table of all models of an audit. With them, those two side by side: 0 is
    the original, 1 the first purification, and so on.
    """
    from bdshift.audit.comparison import compare
    from bdshift.reports.comparison_report import (
        compared_text,
        models_json,
        models_table,
        models_text,
        table_csv,
    )
    from bdshift.store import load_audit

    if first is not None and second is None:
        raise UsageError("name both models, or none for a table of all")
    if first is not None and (as_csv or as_json):
        raise UsageError("--csv and --json are of the table of all models; name no two")
    if as_csv and as_json:
        raise UsageError("give --csv or --json, not both")
    audit = load_audit(audit_file)
    job.close()
    if as_csv:
        click.echo(table_csv(models_table(audit)), nl=False)
    elif as_json:
        click.echo(json.dumps(models_json(audit), indent=2))
    else:
        text = models_text(audit) if first is None else compared_text(compare(audit, first, second))
        click.echo(text)
