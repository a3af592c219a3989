"""Runs the network again: with a trigger, or to see where neurons look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bdshift.files import usable
from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.gallery_wish import Heat
from bdshift_gui.session import State
from bdshift_gui.tasks.showing import like

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material
    from bdshift.audit.gallery import Gallery
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
        shown, device = shown_material(state, material), state.corrections.device or "auto"
        return add_tac(audit, shown, applied, target, device=device, job=job).tac[-1], material

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


def map_passes(
    context: Context,
    neurons: tuple[int, ...],
    passes: Sequence[tuple[Gallery, Sequence[int]]],
    take: Callable[[tuple[Heat, ...]], dict[str, Any]],
) -> None:
    """Find where neurons look in some images of each of ``passes``; runs the network again.
    ``take`` says what of the state changes with what was found.
    """
    state, ready = context.state, material_of(context.state)

    def run(job: JobContext) -> tuple[tuple[Heat, ...], Material]:
        from bdshift.audit.looking import maps_of

        material = ready(job)
        shown = shown_material(state, material)
        found = []
        for of, rows in passes:
            maps = maps_of(shown, of.shown, neurons, rows, trigger=of.trigger, job=job)
            found.append(Heat(of.which, neurons, tuple(rows), maps.values, maps.kind))
        return tuple(found), material

    def done(found: tuple[tuple[Heat, ...], Material]) -> None:
        heats, material = found
        context.session.update(**take(heats), material=material)

    context.start(Sentence("Mapping where the neuron looks"), run, done)


def look(context: Context, neurons: tuple[int, ...], count: int) -> None:
    """Find where neurons look in the ``count`` images that excite them most, without and with the
    trigger that is shown.
    """
    from bdshift.audit.gallery import CLEAN, Gallery
    from bdshift.neurons.excite import most_excited

    audit, tac = context.state.audit, context.state.tac
    assert audit is not None
    assert audit.embedding is not None
    clean = Gallery(CLEAN, audit.embedding)
    passes = [(clean, most_excited(audit.embedding, neurons, count).tolist())]
    if tac is not None and tac.triggered is not None:
        best = most_excited(tac.triggered, neurons, count, without=tac.target).tolist()
        of = Gallery(
            tac.trigger, clean.clean, tac.triggered, tac.target, recovery=audit.recovery_of(tac)
        )
        if best:
            passes.append((of, best))
    map_passes(context, neurons, passes, lambda found: {"maps": found})
