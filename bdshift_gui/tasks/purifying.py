"""Purifies copies of the model, one after another; runs that stop or crash can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer

from bdshift.jobs import JobContext
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.jobs.events import Event, Stopped
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.showing import as_shown

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material, Purification
    from bdshift.audit.unfinished import PurificationRequest


def purify(context: Context, requests: Sequence[PurificationRequest]) -> None:
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
        from bdshift.purify import METHODS
        from bdshift.triggers import parse_trigger

        trigger = parse_trigger(request.trigger) if request.trigger else None
        method = METHODS.parse(request.method)
        resume = Unfinished().begin(audit, request)
        material = ready(job)
        made = purify_model(
            audit, material, method, request.target, held_out=request.held_out, trigger=trigger,
            device=device, resume=resume, job=job,
        )  # fmt: skip
        return aligned(audit), made, resume, material

    def done(found: tuple[Audit, Purification, Path, Material]) -> None:
        before, made, resume, material = found
        now = context.state
        original = replace(before, purifications=(*before.purifications, made))
        context.session.update(
            original=original, audit=now.audit if now.shown else original, material=material,
            chosen=len(original.purifications), pending=(*now.pending, resume),
            waiting=now.waiting if made.result.complete else (),
        )  # fmt: skip

    context.session.update(steps=(), comparing=None, waiting=waiting)
    count = len(waiting)
    name = tr("Purifying, {count} more to go", count=count) if count else tr("Purifying")
    context.start(name, run, done, keeps=True)


def purify_next(context: Context, ended: Event) -> None:
    """After a job has ended: start the next purification in the queue, once all slots have run."""
    if isinstance(ended, Stopped):
        context.session.update(waiting=())
    if context.state.waiting:
        QTimer.singleShot(0, context.session, lambda: _next(context))


def _next(context: Context) -> None:
    waiting = context.state.waiting
    if waiting and not context.state.busy:
        purify(context, waiting)


def settle(context: Context) -> None:
    """The purifications are saved or discarded: delete the states that would resume them."""
    pending = context.state.pending
    if not pending:
        return
    context.session.update(pending=())

    def forget() -> None:
        from bdshift.audit.unfinished import Unfinished

        for path in pending:
            Unfinished().forget(path)

    context.quick.ask("forget", forget, lambda _: None)
