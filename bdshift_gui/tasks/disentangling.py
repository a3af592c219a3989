"""Measures how far a backdoor and the rest of the weights are apart, and keeps it in the audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.tasks.measuring import material_of
from bdshift_gui.tasks.recovering import take
from bdshift_gui.tasks.showing import as_shown

if TYPE_CHECKING:
    from bdshift.audit import Material
    from bdshift.purification.disentanglement import WeightPlane


def measure(context: Context, number: int, base: Path) -> None:
    """Measure the plane of purification ``number``, from 1, whose model was made from ``base``. If
    stopped, what was measured is kept; the same again goes on from there.
    """
    state = context.state
    audit, ready, given = as_shown(state), material_of(state), state.corrections
    made = audit.purifications[number - 1]
    trigger = made.unlearned or made.trigger
    assert trigger is not None

    def run(job: JobContext) -> tuple[WeightPlane, Material]:
        from bdshift.audit.disentangling import Plane, measure_all
        from bdshift.audit.zero_shot import open_base
        from bdshift.triggers import parse_trigger

        material = ready(job)
        opened = open_base(base, audit, given.arch, job)
        device = given.device or "auto"
        plane = Plane(audit, material, made, opened, parse_trigger(trigger), device=device, job=job)
        return measure_all(plane, job=job), material

    def done(found: tuple[WeightPlane, Material]) -> None:
        from bdshift.audit.disentangling import with_plane

        plane, material = found
        assert context.state.original is not None
        take(context, with_plane(context.state.original, number, plane))
        context.session.update(material=material)

    context.session.update(plane=None, plane_of=number)
    context.start(Sentence("Measuring disentanglement"), run, done, keeps=True)
