"""``bdshift report AUDIT.h5``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.errors import InputError, UsageError
from bdshift.text import one_line

_MOST = 64 * 1024 * 1024  # bytes of a provenance file


@click.command("report", short_help="Write an audit as one page of HTML.")
@click.argument("audit_file", metavar="AUDIT.h5", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The page.")
@click.option("--purified", type=click.Path(path_type=Path),
              help="What `bdshift purify` wrote beside the cleaned model.")  # fmt: skip
@click.option("--language", default="en", show_default=True, type=click.Choice(["en", "ja"]))
@click.option("--overwrite", is_flag=True, help="Replace --out if it is there.")
@guarded
def command(
    audit_file: Path,
    out: Path,
    purified: Path | None,
    language: str,
    overwrite: bool,
    job: ConsoleJob,
) -> None:
    """Write a self-contained page: verdict, plots, neurons with images, parameters, hashes."""
    from bdshift.report.html_report import html_report
    from bdshift.store import load_audit

    if out.exists() and not overwrite:
        raise UsageError(f"{out}: exists; --overwrite replaces it")
    told = None
    if purified is not None:
        try:
            if purified.stat().st_size > _MOST:
                raise ValueError("it is too large")
            told = json.loads(purified.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{purified}: is no JSON that can be read ({error})") from error
    page = html_report(load_audit(audit_file), language, told)
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from error
    job.close()
    click.echo(one_line(f"{out}: {len(page):,} characters"))
