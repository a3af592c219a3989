"""Recovers triggers: a search that can be watched, and the triggers that it found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.pages import RecoveryPage
from bdshift_gui.session import RecoveryRequest
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.showing import as_shown, like

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material
    from bdshift.recovery.recovery import Recovery


def recover(context: Context, request: RecoveryRequest) -> None:
    """Search the original model for a trigger. If canceled, the kinds that are finished are kept,
    for the same search again.
    """
    state = context.state
    audit, ready = as_shown(state), material_of(state)
    device = state.corrections.device or "auto"

    def run(job: JobContext) -> tuple[Recovery, Material, Path]:
        from bdshift.audit.recovering import recover_trigger
        from bdshift.changes import CHANGES
        from bdshift.recovery.tried import last_recovery

        kind = CHANGES.parse(request.kind) if request.kind else None
        material, resume = ready(job), last_recovery()
        found = recover_trigger(
            audit, material, request.target, kind, budget=request.budget, source=request.source,
            seed=request.seed, device=device, resume=resume, job=job,
        )  # fmt: skip
        return found, material, resume

    def done(found: tuple[Recovery, Material, Path]) -> None:
        from bdshift.audit import with_recovery

        recovery, material, resume = found
        assert context.state.original is not None
        original = with_recovery(context.state.original, recovery)
        take(context, original)
        context.session.update(material=material, pending=(*context.state.pending, resume))
        show(context, len(original.recoveries))  # it comes last
        names = original.images.class_names
        context.session.update(
            message=Sentence(
                "Recovered a trigger for “{name}” in {seconds:.0f} s.",
                {"name": names[recovery.target], "seconds": recovery.seconds},
            )
        )

    context.session.update(recovering=request, glimpse=None, page=RecoveryPage(0))
    context.start(Sentence("Recovering a trigger"), run, done)


def show(context: Context, number: int | None) -> None:
    """Show a recovered trigger instead of the plots, and its class in all views; None to close."""
    state = context.state
    context.turn_to(None if number is None else RecoveryPage(number))
    if number:
        found = state.recoveries[number - 1]
        context.selection.select_class(found.target, None if found.source < 0 else found.source)


def show_neurons(context: Context, number: int) -> None:
    """Select the neurons that a recovered trigger moves most, and show them in the plots."""
    from bdshift.neurons.rankings import half_of

    neurons = half_of(context.state.recoveries[number - 1].tac.change)
    show(context, number)
    context.selection.select_neurons(neurons, primary=next(iter(neurons), None))
    show(context, None)


def remove(context: Context, number: int) -> None:
    """Drop a recovered trigger from the audit."""
    original = context.state.original
    assert original is not None
    kept = list(original.recoveries)
    del kept[number - 1]
    context.turn_to(None)  # a page may show what it did
    take(context, replace(original, recoveries=tuple(kept)))


def take(context: Context, original: Audit) -> None:
    """Go on with the original; what is shown of it keeps its α and rule."""
    state = context.state
    assert state.audit is not None
    shown = state.audit if state.shown else like(original, state.audit)
    context.session.update(original=original, audit=shown)
