"""``bdshift schema``."""

from __future__ import annotations

import json

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.reports.json_schema import JSON_OUTPUTS, JsonOutput, json_schema


@click.command("schema", short_help="Print the JSON Schema of what --json prints.")
@click.argument("output", required=False, metavar="[COMMAND]", type=click.Choice(JSON_OUTPUTS))
@guarded
def command(output: JsonOutput | None, job: ConsoleJob) -> None:
    """Print the JSON Schema (2020-12) of what COMMAND prints with --json: scan, purify, compare,
    recover, info or fleet; by default of all. The key “schema” of an output names its version.
    """
    job.close()
    click.echo(json.dumps(json_schema(output), indent=2, ensure_ascii=False))
