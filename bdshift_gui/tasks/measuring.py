"""Runs the network again: with a trigger, or to see where neurons look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift_gui.context import Context
from bdshift_gui.i18n import tr
from bdshift_gui.session import Maps, State

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material


def material_of(state: State) -> Callable[[JobContext], Material]:
    """A function that returns the audit's model and images, opening them only if needed."""
    original, given = state.original, state.corrections
    assert original is not None

    def ready(job: JobContext) -> Material:
        from bdshift.audit import reopen

        return state.material or reopen(
            original, model=state.model_path, images=state.images_path, arch=given.arch, job=job
        )

    return ready


def _shown(state: State, material: Material) -> Material:
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

    def run(job: JobContext) -> tuple[Audit, Material]:
        from bdshift.audit import add_tac
        from bdshift.triggers import parse_trigger

        applied = parse_trigger(trigger)
        material = ready(job)
        return add_tac(audit, _shown(state, material), applied, target, job=job), material

    def done(found: tuple[Audit, Material]) -> None:
        measured, material = found
        context.session.update(
            original=_with_side(context.state, measured), audit=measured, material=material
        )

    context.start(tr("Measuring TAC"), run, done)


def _with_side(state: State, found: Audit) -> Audit:
    """The original with ``found`` in place of what is shown; if that has another α or rule, only
    the TAC is taken from it.
    """
    assert state.original is not None
    if not state.shown:
        return _with_tac(state.original, found)
    all_made = list(state.original.purifications)
    made = all_made[state.shown - 1]
    all_made[state.shown - 1] = replace(made, rescan=_with_tac(made.rescan, found))
    return replace(state.original, purifications=tuple(all_made))


def _with_tac(audit: Audit, found: Audit) -> Audit:
    same = audit.settings is found.settings and audit.evidence is found.evidence
    return found if same else replace(audit, tac=found.tac)


def look(context: Context, neurons: tuple[int, ...], count: int) -> None:
    """Find where neurons look in the ``count`` images that excite them most; runs the network."""
    state = context.state
    audit, tac, ready = state.audit, state.tac, material_of(state)
    assert audit is not None
    assert audit.embedding is not None
    embedding = audit.embedding

    def run(job: JobContext) -> tuple[Maps, Material]:
        from bdshift.audit.looking import maps_of
        from bdshift.triggers import parse_trigger

        material = ready(job)
        shown = _shown(state, material)
        clean, triggered = maps_of(shown, embedding, neurons, count, job=job), None
        if tac is not None and tac.triggered is not None:
            triggered = maps_of(
                shown, tac.triggered, neurons, count, trigger=parse_trigger(tac.trigger),
                without=tac.target, job=job,
            )  # fmt: skip
        return Maps(neurons, clean, triggered), material

    def done(found: tuple[Maps, Material]) -> None:
        maps, material = found
        context.session.update(maps=maps, material=material)

    context.start(tr("Mapping where the neuron looks"), run, done)
