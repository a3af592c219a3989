"""Scans what is open, the demo, or a victim that is trained first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bdshift.files import usable
from bdshift.jobs import JobContext
from bdshift.words import Sentence
from bdshift_gui.context import Context
from bdshift_gui.session import Corrections, OpenImages, OpenModel, State
from bdshift_gui.tasks.opening import read_images, read_model, show_other
from bdshift_gui.tasks.searching import follow_scan
from bdshift_gui.tasks.showing import show_audit, take_over

if TYPE_CHECKING:
    from bdshift.audit import Audit, Material, ScanSettings
    from bdshift.checkpoints.classifier import Opened
    from bdshift.lab.recipe import Recipe


SCANNING = Sentence("Scanning")
"""Name of the job."""


@dataclass(frozen=True)
class _Scanned:
    audit: Audit
    material: Material
    model: OpenModel
    images: OpenImages
    state: Path | None


def scan(context: Context) -> None:
    """Audit the open model with the open images."""
    state = context.state

    def run(job: JobContext) -> _Scanned:
        from bdshift.audit import scan_opened
        from bdshift.shift.cache import EmbeddingCache
        from bdshift.store.finished import FinishedEvidence, last_scan

        settings = settings_of(state)
        model, images = ready(state, job)
        resume = last_scan() if len(settings.detectors) > 1 else None
        audit, material = scan_opened(
            as_corrected(model, state.corrections), images.collection, settings,
            cache=EmbeddingCache(), finished=FinishedEvidence(resume, job) if resume else None,
            job=job,
        )  # fmt: skip
        return _Scanned(audit, material, model, images, resume)

    def done(found: _Scanned) -> None:
        now = context.state
        kept = now.pending if found.state is None else (*now.pending, found.state)
        context.session.update(model=found.model, images=found.images, pending=kept)
        show_audit(context, found.audit, found.material)
        take_over(context, state, now)
        follow_scan(context, again=state.original is not None and state.original.is_searched)

    context.start(SCANNING, run, done)


def settings_of(state: State) -> ScanSettings:
    """What the audit was asked, or the defaults without one, with what is set in the window. The
    second stage is left to the search that follows.
    """
    from bdshift.audit import ScanSettings
    from bdshift.audit.second_stage import first_stage
    from bdshift.detect.detectors.embedding_shift import EmbeddingShift

    asked = ScanSettings() if state.original is None else state.original.settings
    first, *others = first_stage(asked.detectors) if asked.search else asked.detectors
    assert isinstance(first, EmbeddingShift)
    given = state.corrections
    return replace(
        asked,
        detectors=(replace(first, alpha=state.alpha), *others),
        search=0.0,
        rule=state.rule or asked.rule,
        by_rule=state.by_rule,
        normalize=given.normalize,
        fit=given.fit,
        arch=given.arch,
        weights=given.weights,
        labels=None if given.labels is None else dict(given.labels),
        device=given.device or "auto",
        batch=given.batch,
        prompts=given.prompts,
        names=given.names,
        unknown_detectors=(),  # they do not run in this version
    )


def ready(state: State, job: JobContext) -> tuple[OpenModel, OpenImages]:
    """The open model and images, or else the audit's."""
    given = state.corrections
    assert state.model_path is not None
    assert state.images_path is not None
    return (
        state.model or read_model(usable(state.model_path), given.arch, given.weights, job),
        state.images or read_images(usable(state.images_path), job),
    )


def as_corrected(model: OpenModel, given: Corrections) -> Opened:
    """The model, recognized again if the user corrected it; the file is not read again."""
    if (given.arch, given.weights) == (model.arch, model.weights):
        return model.opened
    from bdshift.checkpoints.classifier import recognized
    from bdshift.checkpoints.layout import find_state_dict

    file = model.opened.file
    return recognized(file, find_state_dict(file, given.weights), given.arch)


def demo(context: Context) -> None:
    """Audit the bundled victim, with the trigger that its card names."""

    def run(job: JobContext) -> Audit:
        from bdshift.demo import audit_victim

        return audit_victim(context.demo_folder, job)

    def done(audit: Audit) -> None:
        show_other(context, audit, kept=True)
        follow_scan(context)

    context.start(Sentence("Scanning the demo"), run, done)


def try_attack(context: Context, recipe: Recipe, images: Path | None, folder: Path) -> None:
    """Train a victim whose backdoor is known, on ``images`` or drawn signs, and audit it."""

    def run(job: JobContext) -> Audit:
        from bdshift.lab.trial import try_attack as train_and_audit

        audit, outcome = train_and_audit(recipe, images, folder, job=job)
        if outcome.asr is None:
            job.note("{path}: ACC {acc:.1%}", path=folder, acc=outcome.acc)
        else:
            job.note(
                "{path}: ACC {acc:.1%}, ASR {asr:.1%}",
                path=folder, acc=outcome.acc, asr=outcome.asr,
            )  # fmt: skip
        return audit

    def done(audit: Audit) -> None:
        show_other(context, audit, kept=False)
        follow_scan(context)

    context.start(Sentence("Training a victim"), run, done)
