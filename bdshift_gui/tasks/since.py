"""Compares the audit with an earlier or later one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.tasks.showing import as_judged

if TYPE_CHECKING:
    from bdshift.audit.since import Since


def compare_audits(context: Context, path: Path, show: Callable[[Since], None]) -> None:
    """Read another audit file, and ``show`` what changed from the earlier of the two to the later.
    If they do not say when they were made, the file is the earlier one.
    """
    audit = as_judged(context.state)

    def run(job: JobContext) -> Since:
        from bdshift.audit.since import Since
        from bdshift.store import load_audit

        other = load_audit(path)
        job.raise_if_canceled()
        found = Since(other, audit)
        return Since(audit, other) if found.is_reversed else found

    context.start(Sentence("Comparing the audits"), run, show)
