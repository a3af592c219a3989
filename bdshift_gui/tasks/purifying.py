"""Purifies copies of the model, one after another; runs that stop or crash can be resumed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.models import what_is_found
from bdshift_gui.pages import PurificationsPage
from bdshift_gui.purification_queue import PurificationQueue
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.showing import as_shown, like

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material, Purification
    from bdshift.audit.unfinished import PurificationRequest


def purify(
    context: Context, requests: Sequence[PurificationRequest], *, queued: bool = False
) -> None:
    """Purify copies of the original, one after another. If one is stopped, its best result so far
    is kept and those in the queue are dropped. One that fails does not hold up the others.
    """
    request, waiting = requests[0], tuple(requests[1:])
    state = context.state
    audit, ready = as_shown(state), material_of(state)
    device = state.corrections.device or "auto"

    def run(job: JobContext) -> tuple[Audit, Purification, Path, Material]:
        from bdshift.audit.purifying import aligned, purify_model
        from bdshift.audit.unfinished import Unfinished
        from bdshift.purification import METHODS
        from bdshift.triggers import parse_trigger

        texts = request.trigger, request.unlearn
        trigger, unlearn = (parse_trigger(text) if text else None for text in texts)
        method = METHODS.parse(request.method)
        resume = Unfinished().begin(audit, request)
        material = ready(job)
        made = purify_model(
            audit, material, method, request.target, held_out=request.held_out, trigger=trigger,
            unlearn=unlearn, seed=request.seed, device=device, resume=resume, job=job,
        )  # fmt: skip
        return aligned(audit), made, resume, material

    def done(found: tuple[Audit, Purification, Path, Material]) -> None:
        before, made, resume, material = found
        now = context.state
        original, shown = replace(before, purifications=(*before.purifications, made)), now.audit
        if not now.shown and shown is not None:
            shown = like(original, shown)  # at another α or rule if it was changed meanwhile
        context.session.update(
            original=original, audit=shown, material=material,
            chosen=len(original.purifications), pending=(*now.pending, resume),
            message=Sentence(
                "Purified by {method}: {verdict}",
                {"method": made.result.name, "verdict": what_is_found(made).sentence},
            ),
        )  # fmt: skip

    page = {} if queued else {"page": PurificationsPage()}  # the user may have closed it since
    queue = _queue(context.state.queue if queued else None, len(requests))
    parts = {"steps": (), "purifying": request, "waiting": waiting, "queue": queue}
    context.session.update(**{**page, **parts})
    method = request.method.partition(":")[0]
    name = Sentence("Purifying by {method}", {"method": method})
    if queue is not None:
        name = Sentence(
            "Purifying by {method}, {number} of {total}",
            {"method": method, "number": queue.done + 1, "total": queue.total},
        )
    context.start(name, run, done, keeps=True, queued=queued)


def _queue(before: PurificationQueue | None, left: int) -> PurificationQueue | None:
    """The queue with so many left; None if only one was asked for."""
    if before is not None:
        return replace(before, done=before.total - left)
    return PurificationQueue(left, 0, time.monotonic()) if left > 1 else None


def purify_next(context: Context) -> None:
    """After a job has ended: start the next purification in the queue, once all slots have run."""
    if context.state.waiting:
        QTimer.singleShot(0, context.session, lambda: _next(context))


def _next(context: Context) -> None:
    state = context.state
    if state.waiting and state.job is None:
        purify(context, state.waiting, queued=True)


def settle(context: Context) -> None:
    """What was found is saved or discarded: delete the states that would resume it."""
    pending = context.state.pending
    if not pending:
        return
    context.session.update(pending=())

    def forget() -> None:
        from bdshift.audit.unfinished import Unfinished

        for path in pending:
            Unfinished().forget(path)

    context.quick.ask(("forget", pending), forget, lambda _: None)
