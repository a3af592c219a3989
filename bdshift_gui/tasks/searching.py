"""Runs the second stage of a scan: searches for triggers in the images, for every class.

It follows a scan by itself, and takes minutes, so nothing that the user starts has to wait for it:
the search is canceled, and starts again when the other job has ended. Kinds of changes that it has
finished are kept, so that at most the one that was interrupted is searched for again.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer

from bdshift.budgets import SCAN_SECONDS
from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.showing import as_shown

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material
    from bdshift.detect.detector import Detector, Evidence

    _Found = tuple[list[tuple[Detector, Evidence]], Material, Path, float]
    """What each search has found, and, if none fits into the time, how many seconds one takes."""


def follow_scan(context: Context, *, again: bool = False) -> None:
    """Let a search follow a scan, as in the command, if the user has not turned that off; or if the
    audit before it was searched, too, and is scanned ``again``.
    """
    state = context.state
    if not (state.compares or again) or state.audit is None:
        return
    if not state.audit.is_searched and not state.audit.settings.decides_by_rule:
        context.session.update(to_search=SCAN_SECONDS)


def search(context: Context, seconds: float = SCAN_SECONDS) -> None:
    """Search the original model for ``seconds``, about, now or as soon as no other job runs."""
    context.session.update(to_search=seconds)
    _search(context, queued=False)


def search_next(context: Context) -> None:
    """After a job has ended: search if that is still to be done, once all slots have run."""
    if context.state.to_search:
        QTimer.singleShot(0, context.session, lambda: _next(context))


def _next(context: Context) -> None:
    state = context.state
    if state.to_search and state.job is None and not state.busy:
        _search(context, queued=True)


def _search(context: Context, *, queued: bool) -> None:
    """Search, and add what was found to the audit. If the time is too short for this network, the
    user, who has asked for it unless it is ``queued``, is asked for more.
    """
    state = context.state
    seconds = state.to_search
    audit, ready = as_shown(state), material_of(state)
    device = state.corrections.device or "auto"

    def run(job: JobContext) -> _Found:
        from bdshift.audit.more_evidence import search_further
        from bdshift.audit.second_stage import seconds_of_a_kind
        from bdshift.detect.image_search import has_search
        from bdshift.devices import pick_device
        from bdshift.store.finished import FinishedEvidence, last_scan

        material, resume = ready(job), last_scan()
        finished = FinishedEvidence(resume, job)
        found = search_further(audit, material, seconds, device=device, finished=finished, job=job)
        needed = 0.0
        if not has_search(detector for detector, _ in found):
            needed = seconds_of_a_kind(material.classifier, audit.precision, pick_device(device))
        return found, material, resume, needed

    def done(found: _Found) -> None:
        from bdshift.audit.more_evidence import with_search

        more, material, resume, needed = found
        now = context.state
        assert now.original is not None
        assert now.audit is not None

        def added(to: Audit) -> Audit:
            return with_search(to, more, seconds)

        original, shown = added(now.original), now.audit
        if shown is now.original:
            shown = original
        elif not now.shown:  # the same at another α or under another rule
            shown = added(shown)
        context.session.update(
            original=original, audit=shown, material=material, to_search=0.0,
            pending=(*now.pending, resume),
        )  # fmt: skip
        if now.kept is now.original and _is_demo(context):
            context.session.update(kept=original)
        said = Sentence("Searched for triggers: {finding}.", {"finding": original.finding.headline})
        if needed:
            said = Sentence(
                "This network is large: a search for one kind of change takes some {minutes} "
                "minutes. It begins if you ask for it.", {"minutes": math.ceil(needed / 60)},
            )  # fmt: skip
        context.session.update(message=said)
        if needed and not queued:  # once this job has ended
            QTimer.singleShot(0, context.session, partial(_ask_for_more, context, needed))

    context.start(Sentence("Searching for triggers"), run, done, gives_way=True, queued=queued)


def _ask_for_more(context: Context, seconds: float) -> None:
    question = tr(
        "This network is large: a search for one kind of change takes some {minutes} minutes. You "
        "can work meanwhile, and cancel it. Search?", minutes=math.ceil(seconds / 60),
    )  # fmt: skip
    audit = context.state.original
    if context.ask.confirm(question) and context.state.original is audit:
        search(context, seconds)


def _is_demo(context: Context) -> bool:
    """Whether the audit is that of the demo, which can be made again at a click."""
    path = context.state.model_path
    return isinstance(path, Path) and path.parent == context.demo_folder


def compare_with(context: Context, path: Path) -> None:
    """Search a model that is known to be clean as the original was, and compare with it."""
    state = context.state
    audit, ready = as_shown(state), material_of(state)
    given = state.corrections

    def run(job: JobContext) -> tuple[Audit, Material]:
        from bdshift.audit.reference import add_reference

        material = ready(job)
        device = given.device or "auto"
        made = add_reference(audit, material, path, arch=given.arch, device=device, job=job)
        return made, material

    def done(found: tuple[Audit, Material]) -> None:
        from bdshift.audit.reference import with_reference

        made, material = found
        now = context.state
        assert now.original is not None
        assert now.audit is not None
        original = with_reference(now.original, made.reference)
        same = now.audit is now.original
        shown = original if same else with_reference(now.audit, made.reference)
        context.session.update(original=original, audit=shown, material=material)

    context.start(Sentence("Searching the reference"), run, done)
