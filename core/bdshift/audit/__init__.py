"""An audit from start to finish: open, choose the preprocessing, embed once, run the detectors.

`scan` runs the stages (`bdshift.audit.stages`) in order and returns an `Audit`
(`bdshift.audit.records`); `scan_opened` also returns the model and images it used, for further
steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bdshift.audit.copies import Audited, copies_of, most_serious
from bdshift.audit.finished import FinishedDetectors
from bdshift.audit.images_record import ImagesRecord, LabelProposal
from bdshift.audit.made import versions
from bdshift.audit.one_model import Machinery, ReadModel, examine_model, read_with_images
from bdshift.audit.opening import Images, Model, check_labels, open_clean_images, open_model
from bdshift.audit.records import Audit, ModelRecord, Purification
from bdshift.audit.reference import (
    open_reference,
    read_reference,
    require_comparable,
    with_reference,
    with_reference_read,
)
from bdshift.audit.scan_settings import ScanSettings
from bdshift.audit.stages import CleanSet, Material, embed_cached, open_clean_set
from bdshift.audit.zero_shot import with_names, with_names_of
from bdshift.checkpoints.candidate_choice import as_audited
from bdshift.checkpoints.classifier import Classifier, Opened
from bdshift.checkpoints.layout import IN_MEMORY
from bdshift.checkpoints.users_own import Architecture, OwnNetwork
from bdshift.devices import pick_device
from bdshift.errors import InputError, UsageError
from bdshift.files import KeptPath, is_in_memory
from bdshift.images.collection import ImageCollection
from bdshift.jobs import SILENT, JobContext
from bdshift.neurons.tac import Tac, measure_tac
from bdshift.recovery.recovery import Recovery
from bdshift.shift.cache import EmbeddingCache
from bdshift.triggers import Trigger
from bdshift.words import Sentence

__all__ = [
    "Audit", "CleanSet", "ImagesRecord", "LabelProposal", "Material", "ModelRecord",
    "Purification", "ScanSettings", "add_tac", "reopen", "reopen_model", "scan", "scan_opened",
    "versions", "with_recovery", "with_tac",
]  # fmt: skip


def scan(
    model: Model,
    images: Images,
    settings: ScanSettings | None = None,
    *,
    cache: EmbeddingCache | None = None,
    finished: FinishedDetectors | None = None,
    reference: Model | None = None,
    job: JobContext = SILENT,
) -> Audit:
    """Audit a model with a clean set, from start to finish; with a ``reference``, beside a model of
    the same task that is known to be clean (`bdshift.audit.reference`).

    Each model is the path of a checkpoint, or an ``nn.Module``, of which a copy is audited. The
    images are a path, or in memory (`bdshift.images.gather.ImageData`): tensors (n, channels, s, s)
    or arrays, which may also be (n, s, s, channels), with labels (n,), or what gives them one after
    another. Floats are what the network gets; if ``settings.normalize`` says how they were
    normalized, or they are in 0…1, searches know what is black and white, otherwise these are the
    lowest and highest of each channel. 8-bit images are like those in files.

    With a ``cache``, embeddings computed earlier are taken from it; what detectors found is taken
    from ``finished`` and kept there, so that a scan that was interrupted goes on after them.

    Raises `InputError` if a file cannot be read or used, `UsageError` if a setting makes no sense,
    `bdshift.jobs.Canceled` if the job was canceled.
    """
    settings = settings or ScanSettings()
    pick_device(settings.device)
    # Before the model: a wrong path is reported at once.
    collection, settings = open_clean_images(images, settings, job)
    opened = open_model(
        model, arch=settings.arch, weights=settings.weights, collection=collection, job=job
    )
    check_labels(collection, opened.classes)
    beside = None
    if reference is not None:
        beside = open_reference(reference, opened, settings.arch, collection, job)
    return scan_opened(
        opened, collection, settings, cache=cache, finished=finished, reference=beside, job=job
    )[0]


def scan_opened(
    opened: Opened,
    collection: ImageCollection,
    settings: ScanSettings | None = None,
    *,
    cache: EmbeddingCache | None = None,
    finished: FinishedDetectors | None = None,
    reference: Opened | None = None,
    job: JobContext = SILENT,
) -> tuple[Audit, Material]:
    """Audit a checkpoint and images that are open, as `scan` does; of several weights of one
    network, those with the most serious finding. Raises as `scan`.
    """
    settings = settings or ScanSettings()
    if reference is not None:
        require_comparable(
            settings.detectors, bool(settings.search), by_rule=settings.decides_by_rule
        )
    for note in collection.notes:
        job.note(note)
    on = Machinery(pick_device(settings.device), cache, finished)

    def read(one: Opened) -> ReadModel:
        one, named = with_names(one, collection, settings)
        clean = open_clean_set(collection, one.classes, named, one.class_names, one.file.path)
        return read_with_images(one, clean, settings, on, job)

    def examined(one: ReadModel) -> Audited:
        return examine_model(one, settings, on, job), one.material

    first, beside = read(opened), None
    if reference is not None:  # before anything is searched for: one that does not fit is an error
        reference = with_names_of(reference, first)
        beside = read_reference(reference, first.material.clean, settings, first, on, job)
    audited = [examined(first)]
    for other in copies_of(opened, settings.arch):
        job.note(Sentence("The file holds other weights of this network, {weights}: auditing them",
                          {"weights": other.state.layout.weights}))  # fmt: skip
        try:
            audited.append(examined(read(other)))
        except InputError as error:
            raise InputError(
                "{reason} (with the weights {weights}; to audit only the others, name them with "
                "--weights)",
                reason=error.sentence, weights=other.state.layout.weights,
            ) from error  # fmt: skip
    if beside is not None:
        most = max(audited, key=lambda one: len(one[0].judged))  # one may have asked a witness
        made = with_reference_read(*most, beside, on, job).reference
        audited = [(with_reference(audit, made), material) for audit, material in audited]
    return most_serious(audited)


def reopen_model(
    audit: Audit,
    *,
    model: Model | None = None,
    arch: Architecture | None = None,
    job: JobContext = SILENT,
) -> Classifier:
    """Reopen the model of an audit, from its recorded path or from ``model``, which may be a module
    in memory if it was one.

    An audit of a user's own network needs ``arch``, an `OwnNetwork`, again: an audit file may come
    from anyone, so the code it names is not run.

    Raises `InputError` if the file is missing or has changed since the audit (by SHA-256),
    `UsageError` if ``arch`` is needed, or the module.
    """
    own = arch if isinstance(arch, OwnNetwork) else None
    live = model is not None and not isinstance(model, (str, Path))
    if audit.model.container == IN_MEMORY and not live:
        raise UsageError(
            "{path} was audited in memory, and is in no file: give the module again",
            path=audit.model.path,
        )
    if audit.model.users_own and own is None and not live:
        raise UsageError(
            "this audit is of a network of the user's own, {name}, whose code would be run; if you "
            "trust it, name it again with --arch",
            name=audit.model.architecture,
        )
    opened = open_model(
        KeptPath(audit.model.path).local() if model is None else model,
        arch=own,
        weights=None if live else audit.model.weights or audit.settings.weights,
        head=audit.model.head,
        job=job,
    )
    if opened.file.sha256 != audit.model.sha256:
        raise InputError(
            "{path}: is not the model that was audited (SHA-256 differs)", path=opened.file.path
        )
    chosen = as_audited(opened, audit.model.architecture, own=opened.from_user)
    if chosen is None:
        raise InputError(
            "{path}: is no longer recognized as {name}",
            path=opened.file.path, name=audit.model.architecture,
        )  # fmt: skip
    loaded = with_names_of(opened, audit).load(chosen, job).with_made_head(audit.model.weight)
    if not np.array_equal(loaded.weight.numpy(), audit.model.weight, equal_nan=True):
        raise InputError(
            "{path}: this version of bdshift takes other weights from it than those that were "
            "audited; scan it again",
            path=opened.file.path,
        )
    return loaded.with_preprocessing(audit.preprocessing)


def reopen(
    audit: Audit,
    *,
    model: Model | None = None,
    images: Images | None = None,
    arch: Architecture | None = None,
    job: JobContext = SILENT,
) -> Material:
    """Reopen the model and images of an audit, as `reopen_model` does. Raises `UsageError` if the
    images were in memory and are not given again.
    """
    classifier = reopen_model(audit, model=model, arch=arch, job=job)
    if images is None and is_in_memory(Path(audit.images.path)):
        raise UsageError("the images were in memory, and are in no file: give them again")
    found = KeptPath(audit.images.path).local() if images is None else images
    collection, _ = open_clean_images(found, audit.settings, job)
    # By the names in the audit: the class-name file may be gone.
    known_by = audit.images.folder_index if collection.labeled else audit.images.class_index
    settings = replace(audit.settings, labels=known_by)
    opened = Material(classifier, open_clean_set(collection, classifier.classes, settings))
    if collection.labeled:
        return opened
    known = audit.embedding
    if known is None:
        known = embed_cached(None, opened, precision=audit.precision, batch=audit.settings.batch,
                             job=job).with_predictions()  # fmt: skip
    return replace(opened, clean=opened.clean.labeled_as(known))


def add_tac(
    audit: Audit,
    material: Material,
    trigger: Trigger,
    target: int,
    *,
    cache: EmbeddingCache | None = None,
    device: str = "auto",
    job: JobContext = SILENT,
) -> Audit:
    """The audit with TAC under ``trigger`` for class ``target`` added (or replaced).

    Raises `InputError` if the images are not those of the audit.
    """
    embed = partial(
        embed_cached,
        cache,
        material,
        device=pick_device(device),
        precision=audit.precision,
        batch=audit.settings.batch,
        job=job,
    )
    triggered = embed(trigger=trigger)
    if triggered.images_hash != audit.images.sha256:
        raise InputError(
            "{path}: is not the set that was audited (hash differs)",
            path=material.clean.collection.path,
        )
    before = audit.embedding or embed()
    return with_tac(audit, measure_tac(before, triggered, trigger.spec, target))


def with_tac(audit: Audit, tac: Tac) -> Audit:
    """The audit with a TAC added or replaced."""
    kept = [
        i for i, one in enumerate(audit.tac)
        if (one.trigger, one.target) != (tac.trigger, tac.target)
    ]  # fmt: skip
    unknown = dict(_moved(audit.unknown, "tac", kept))
    return replace(audit, tac=(*(audit.tac[i] for i in kept), tac), unknown=unknown)


def with_recovery(audit: Audit, recovery: Recovery) -> Audit:
    """The audit with a recovered trigger added; an earlier one of the same class, source and kind
    is replaced.
    """
    kept = [i for i, one in enumerate(audit.recoveries) if one.of != recovery.of]
    unknown = dict(_moved(audit.unknown, "recoveries", kept))
    recoveries = (*(audit.recoveries[i] for i in kept), recovery)
    return replace(audit, recoveries=recoveries, unknown=unknown)


def _moved(unknown: Mapping[str, Any], part: str, kept: Sequence[int]) -> Iterator[tuple[str, Any]]:
    """What is unknown in a list follows the members that it belongs to."""
    for place, value in unknown.items():
        first, *rest = place.split("/", 2)
        if first != part or len(rest) < 2 or not rest[0].isdecimal():
            yield place, value
        elif int(rest[0]) in kept:
            yield f"{part}/{kept.index(int(rest[0]))}/{rest[1]}", value
