"""Runs the network again: with a trigger, or to see where neurons look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from bdshift.files import usable
from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.session import Maps, State
from bdshift_gui.tasks.showing import like

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material
    from bdshift.neurons.tac import Tac


def material_of(state: State) -> Callable[[JobContext], Material]:
    """A function that returns the audit's model and images, opening them only if needed."""
    original, given = state.original, state.corrections
    model, images = state.model_path, state.images_path
    assert original is not None
    assert model is not None
    assert images is not None

    def ready(job: JobContext) -> Material:
        from bdshift.audit import reopen

        return state.material or reopen(
            original, model=usable(model), images=usable(images), arch=given.arch, job=job
        )

    return ready


def shown_material(state: State, material: Material) -> Material:
    """``material`` with the model that is shown."""
    if not state.shown:
        return material
    result = state.purifications[state.shown - 1].result
    return replace(material, classifier=result.applied_to(material.classifier))


def measure_tac(context: Context, trigger: str) -> None:
    """Run the images again with a trigger, for the selected class."""
    state = context.state
    audit, target, ready = state.audit, state.selection.class_index, material_of(state)
    assert audit is not None
    assert target is not None

    def run(job: JobContext) -> tuple[Tac, Material]:
        from bdshift.audit import add_tac
        from bdshift.triggers import parse_trigger

        applied = parse_trigger(trigger)
        material = ready(job)
        return add_tac(audit, shown_material(state, material), applied, target, job=job).tac[
            -1
        ], material

    def done(found: tuple[Tac, Material]) -> None:
        tac, material = found
        original, shown = _with_tac(context.state, tac)
        context.session.update(original=original, audit=shown, material=material)

    context.start(Sentence("Measuring TAC"), run, done)


def _with_tac(state: State, tac: Tac) -> tuple[Audit, Audit]:
    """The original and what is shown, with a TAC of the model that is shown. Their α and rules,
    which may have changed while it was measured, stay.
    """
    from bdshift.audit import with_tac

    original, shown = state.original, state.audit
    assert original is not None
    assert shown is not None
    if not state.shown:
        original = with_tac(original, tac)
        return original, like(original, shown)
    all_made = list(original.purifications)
    made = all_made[state.shown - 1]
    rescan = with_tac(made.rescan, tac)
    all_made[state.shown - 1] = replace(made, rescan=rescan)
    return replace(original, purifications=tuple(all_made)), like(rescan, shown)


def look(context: Context, neurons: tuple[int, ...], count: int) -> None:
    """Find where neurons look in the ``count`` images that excite them most; runs the network."""
    state = context.state
    audit, tac, ready = state.audit, state.tac, material_of(state)
    assert audit is not None
    assert audit.embedding is not None
    embedding, recovery = audit.embedding, audit.recovery_of(tac)

    def run(job: JobContext) -> tuple[Maps, Material]:
        from bdshift.audit.looking import maps_of
        from bdshift.neurons.excite import most_excited
        from bdshift.recover.kept import trigger_of

        material = ready(job)
        shown = shown_material(state, material)
        best = most_excited(embedding, neurons, count)
        clean, triggered = maps_of(shown, embedding, neurons, best, job=job), None
        if tac is not None and tac.triggered is not None:
            best = most_excited(tac.triggered, neurons, count, without=tac.target)
            if len(best):
                trigger = trigger_of(tac.trigger, recovery)
                found = maps_of(shown, tac.triggered, neurons, best, trigger=trigger, job=job)
                triggered = found.values
        return Maps(neurons, clean.values, triggered, clean.kind), material

    def done(found: tuple[Maps, Material]) -> None:
        maps, material = found
        context.session.update(maps=maps, material=material)

    context.start(Sentence("Mapping where the neuron looks"), run, done)
