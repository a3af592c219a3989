"""The story of an audit: open, choose the preprocessing, embed once, solve, judge.

`scan` tells the stages (`bdshift.audit.stages`) in order and returns an `Audit`
(`bdshift.audit.records`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bdshift.audit.records import (
    Audit,
    Cleaned,
    ImagesRecord,
    LabelProposal,
    ModelRecord,
    ScanSettings,
    versions,
)
from bdshift.audit.stages import (
    CleanSet,
    choose_preprocessing,
    conclude,
    embed_cached,
    model_notes,
    open_clean_set,
)
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.recognize import is_users_own, named
from bdshift.devices import pick_device
from bdshift.errors import InputError, UsageError
from bdshift.images.collection import open_images
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.tac import Tac, measure_tac
from bdshift.shift.cache import EmbeddingCache
from bdshift.triggers import Trigger

__all__ = [
    "Audit", "CleanSet", "Cleaned", "ImagesRecord", "LabelProposal", "ModelRecord", "ScanSettings",
    "add_tac", "reopen", "reopen_model", "scan", "versions", "with_tac",
]  # fmt: skip


def scan(
    model: str | Path,
    images: str | Path,
    settings: ScanSettings | None = None,
    *,
    cache: EmbeddingCache | None = None,
    job: JobContext = SILENT,
) -> Audit:
    """Audit a checkpoint with a clean set: the whole story.

    With a ``cache``, embeddings that were computed before are taken from it.

    Raises `InputError` if a file cannot be read or used, `UsageError` if a setting makes no sense,
    `bdshift.jobs.Canceled` if the job was canceled.
    """
    settings = settings or ScanSettings()
    device = pick_device(settings.device)
    collection = open_images(images, job=job)  # before the model: a wrong path is said at once
    for note in collection.notes:
        job.note(note)
    opened = open_checkpoint(model, arch=settings.arch, weights=settings.weights, job=job)
    clean = open_clean_set(collection, opened.classes, settings, opened.class_names)
    settled, proposal = choose_preprocessing(opened, clean, settings, device=device, job=job)
    classifier = settled.classifier
    embedding = embed_cached(cache, classifier, clean, device=device, batch=settings.batch, job=job)
    model_record = ModelRecord(
        path=str(classifier.path.absolute()),
        sha256=classifier.sha256,
        container=classifier.layout.container,
        architecture=classifier.architecture,
        head=classifier.head_name,
        weight=classifier.weight.cpu().numpy(),
        bias=classifier.bias.cpu().numpy(),
    )
    images_record = ImagesRecord(
        path=str(clean.collection.path.absolute()),
        sha256=embedding.images_hash,
        available=len(clean.collection.files),
        counts=tuple(np.bincount(embedding.labels, minlength=opened.classes).tolist()),
        class_names=clean.class_map.names,
        label_source=clean.class_map.source,
        skipped=clean.collection.skipped + embedding.skipped,
    )
    return conclude(
        model_record, images_record, settings, settled.ranking, embedding, clean,
        proposal=proposal, notes=model_notes(opened, settled), device=device, job=job,
    )  # fmt: skip


def reopen_model(
    audit: Audit,
    *,
    model: str | Path | None = None,
    arch: str | None = None,
    job: JobContext = SILENT,
) -> Classifier:
    """The model of an audit again, from where it was or where it is now.

    An audit of a user's own network needs ``arch`` again: an audit file may come from anybody, so
    what it names is not run.

    Raises `InputError` if it is missing or is not the same as then (by SHA-256), `UsageError` if
    ``arch`` is needed.
    """
    own = arch is not None and is_users_own(arch)
    for name in (audit.model.architecture, audit.settings.arch or ""):
        if is_users_own(name) and not own:
            raise UsageError(
                f"this audit is of a network of the user's own, {name}, whose code would be run; "
                "if you trust it, name it again with --arch"
            )
    _check_local(model, audit.model.path)
    opened = open_checkpoint(
        model or audit.model.path,
        arch=arch if own else None,
        weights=audit.settings.weights,
        job=job,
    )
    if opened.file.sha256 != audit.model.sha256:
        raise InputError(f"{opened.file.path}: is not the model that was audited (SHA-256 differs)")
    chosen = opened.candidates[0] if own else named(opened.candidates, audit.model.architecture)
    if chosen is None:
        raise InputError(
            f"{opened.file.path}: is no longer recognized as {audit.model.architecture}"
        )
    return opened.classifier(chosen).with_preprocessing(audit.preprocessing.preprocessing)


def _check_local(given: str | Path | None, kept: str) -> None:
    if given is None and kept.startswith(("\\\\", "//")):
        raise InputError(f"{kept}: is on another machine; name it yourself to open it")


def reopen(
    audit: Audit,
    *,
    model: str | Path | None = None,
    images: str | Path | None = None,
    arch: str | None = None,
    job: JobContext = SILENT,
) -> tuple[Classifier, CleanSet]:
    """The model and images of an audit again, as `reopen_model` does."""
    _check_local(images, audit.images.path)
    classifier = reopen_model(audit, model=model, arch=arch, job=job)
    collection = open_images(images or audit.images.path)
    # By the names that the audit kept: a class-name file may be gone.
    settings = replace(audit.settings, labels=audit.images.class_index)
    return classifier, open_clean_set(collection, classifier.classes, settings)


def add_tac(
    audit: Audit,
    classifier: Classifier,
    clean: CleanSet,
    trigger: Trigger,
    target: int,
    *,
    cache: EmbeddingCache | None = None,
    job: JobContext = SILENT,
) -> Audit:
    """The audit with TAC under ``trigger`` for class ``target`` added (or renewed).

    Raises `InputError` if the images are not those of the audit.
    """
    embed = partial(
        embed_cached,
        cache,
        classifier,
        clean,
        device=pick_device(audit.settings.device),
        precision=audit.precision,
        batch=audit.settings.batch,
        job=job,
    )
    triggered = embed(trigger=trigger)
    if triggered.images_hash != audit.images.sha256:
        raise InputError(f"{clean.collection.path}: is not the set that was audited (hash differs)")
    before = audit.embedding or embed()
    return with_tac(audit, measure_tac(before, triggered, trigger.spec, target))


def with_tac(audit: Audit, tac: Tac) -> Audit:
    """The audit with a TAC added, or renewed."""
    kept = [t for t in audit.tac if (t.trigger, t.target) != (tac.trigger, tac.target)]
    return replace(audit, tac=(*kept, tac))
