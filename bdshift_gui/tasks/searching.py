"""Runs the second stage of a scan: searches for triggers in the images, for every class."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.showing import as_shown

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material
    from bdshift.detect.detector import Detector, Evidence


def search(context: Context) -> None:
    """Search the original model, and add what was found to its audit."""
    state = context.state
    audit, ready = as_shown(state), material_of(state)
    device = state.corrections.device or "auto"

    def run(job: JobContext) -> tuple[list[tuple[Detector, Evidence]], Material]:
        from bdshift.audit.more_evidence import search_further
        from bdshift.audit.recovering import DEFAULT_BUDGET

        material = ready(job)
        found = search_further(audit, material, DEFAULT_BUDGET, device=device, job=job)
        return found, material

    def done(found: tuple[list[tuple[Detector, Evidence]], Material]) -> None:
        from bdshift.audit.more_evidence import with_evidence

        more, material = found
        now = context.state
        assert now.original is not None
        assert now.audit is not None

        def added(to: Audit) -> Audit:
            return reduce(lambda one, new: with_evidence(one, *new), more, to)

        original, shown = added(now.original), now.audit
        if shown is now.original:
            shown = original
        elif not now.shown:  # the same at another α or under another rule
            shown = added(shown)
        context.session.update(original=original, audit=shown, material=material)

    context.start(Sentence("Searching for triggers"), run, done)
