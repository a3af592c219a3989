"""``bdshift note AUDIT.h5``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.paths import PATH
from bdshift.errors import InputError
from bdshift.text import joined, one_line

_MAX_READ = 100_000  # characters of standard input: more than notes may have

if TYPE_CHECKING:
    from bdshift.audit import Audit
    from bdshift.audit.cover import Cover


@click.command("note", short_help="Write author and notes of an audit, which its report shows.")
@click.argument("audit_file", metavar="AUDIT.h5", type=PATH)
@click.option("--author", metavar="NAME", help='Who made the audit; "" for no one.')
@click.option("--notes", metavar="TEXT",
              help='Plain text; "-" reads it from standard input; "" for none.')  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@guarded
def command(
    audit_file: Path, author: str | None, notes: str | None, as_json: bool, job: ConsoleJob
) -> None:
    """Change the author or the notes in an audit file; then, or without either, print both, and
    when the audit was made.
    """
    from bdshift.audit.made import in_words
    from bdshift.store import change_audit, load_audit

    if notes == "-":
        try:
            notes = sys.stdin.read(_MAX_READ)
        except UnicodeDecodeError as error:
            raise InputError("the notes are no UTF-8 text ({reason})", reason=str(error)) from error
        notes = notes.rstrip("\n") if len(notes) < _MAX_READ else notes
    if author is None and notes is None:
        audit = load_audit(audit_file)
    else:

        def changed(found: Audit) -> Audit:
            return replace(found, cover=_written(found.cover, author, notes))

        audit = change_audit(audit_file, changed, job=job)
    job.close()
    cover = audit.cover
    if as_json:
        click.echo(json.dumps({"date": audit.date or None, **asdict(cover)}, indent=2))
        return
    lines = [f"audited {in_words(audit.date) or '–'}", f"author  {one_line(cover.author) or '–'}"]
    click.echo(joined([*lines, *(["", *cover.notes.split("\n")] if cover.notes else [])]))


def _written(cover: Cover, author: str | None, notes: str | None) -> Cover:
    given = {"author": author, "notes": notes}
    return replace(cover, **{name: text for name, text in given.items() if text is not None})
