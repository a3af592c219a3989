"""Looks at every pair of classes, from the cached embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.tasks.showing import as_shown

if TYPE_CHECKING:
    from bdshift.detect.detector import Evidence


def look_at_pairs(context: Context) -> None:
    """Solve Eq. 4 for every pair of classes of the original model, and add that to its audit."""
    from bdshift.audit.more_evidence import look_further, with_evidence
    from bdshift.detect.detectors.pairs import Pairs

    audit, detector = as_shown(context.state), Pairs()

    def run(job: JobContext) -> Evidence:
        return look_further(audit, detector, job=job)

    def done(found: Evidence) -> None:
        state = context.state
        assert state.original is not None
        assert state.audit is not None
        original = with_evidence(state.original, detector, found)
        shown = state.audit
        if shown is state.original:
            shown = original
        elif not state.shown:  # the same at another α or under another rule
            shown = with_evidence(shown, detector, found)
        context.session.update(original=original, audit=shown)

    context.start(Sentence("Looking at pairs of classes"), run, done)
