"""Measures the networks that the weights fit on all images, for the user to choose among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.session import OpenImages, OpenModel
from bdshift_gui.tasks.scanning import as_corrected, ready, settings_of

if TYPE_CHECKING:
    from bdshift.audit.candidates import CandidateTable


@dataclass(frozen=True)
class _Measured:
    table: CandidateTable
    model: OpenModel
    images: OpenImages


def measure(context: Context, *, each: bool) -> None:
    """Measure every candidate; with ``each``, scan it quickly, too."""
    state = context.state

    def run(job: JobContext) -> _Measured:
        from bdshift.audit.candidates import measure_candidates
        from bdshift.audit.one_model import Machinery
        from bdshift.devices import pick_device
        from bdshift.shift.cache import EmbeddingCache

        settings = settings_of(state)
        model, images = ready(state, job)
        opened = as_corrected(model, replace(state.corrections, arch=None))
        on = Machinery(pick_device(settings.device), EmbeddingCache())
        table = measure_candidates(opened, images.collection, settings, on, each=each, job=job)
        return _Measured(table, model, images)

    def done(found: _Measured) -> None:
        context.session.update(candidates=found.table, model=found.model, images=found.images)

    name = Sentence("Scanning each candidate") if each else Sentence("Measuring the candidates")
    context.start(name, run, done)
