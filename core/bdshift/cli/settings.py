"""``bdshift settings``."""

from __future__ import annotations

import json
from typing import Any

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.names import NameChoice
from bdshift.registry import Registry


def _every() -> dict[str, Registry[Any]]:
    from bdshift.lab.condition import CONDITIONS
    from bdshift.lab.regime import REGIMES
    from bdshift.reports.settings_page import REGISTRIES

    return {**REGISTRIES, "regimes": REGIMES, "conditions": CONDITIONS}


@click.command("settings", short_help="List all that can be chosen by name.")
@click.argument("kinds", nargs=-1, metavar="[KIND]...", type=NameChoice(_every))
@click.option("--markdown", is_flag=True, help="Print a page of Markdown, as docs/settings.md.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(kinds: tuple[str, ...], markdown: bool, as_json: bool, job: ConsoleJob) -> None:
    """List everything that can be chosen by name, with its settings, defaults and ranges.

    KIND is detectors, rules, methods, triggers, labelings, changes, formats, regimes or
    conditions; by default all.
    """
    from bdshift.reports.settings_page import settings_json, settings_markdown, settings_text

    chosen = {name: one for name, one in _every().items() if not kinds or name in kinds}
    job.close()
    if as_json:
        click.echo(json.dumps(settings_json(chosen), indent=2))
    elif markdown:
        click.echo(settings_markdown(chosen), nl=False)
    else:
        click.echo(settings_text(chosen))
