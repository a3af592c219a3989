"""One model of a scan: first read as the images say that it must be, then examined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from bdshift.audit.finished import FinishedDetectors
from bdshift.audit.images_record import ImagesRecord, LabelProposal
from bdshift.audit.more_evidence import bearing_out, with_evidence
from bdshift.audit.reading_notes import reading_notes
from bdshift.audit.records import Audit, ModelRecord
from bdshift.audit.scan_settings import ScanSettings
from bdshift.audit.second_stage import second_stage, seconds_of_a_kind, too_large
from bdshift.audit.stages import (
    CleanSet,
    Material,
    choose_preprocessing,
    embed_cached,
    examine,
    examine_alternative,
)
from bdshift.checkpoints.classifier import Opened
from bdshift.checkpoints.settle import Settled
from bdshift.detect.image_search import has_search
from bdshift.devices import pace
from bdshift.files import recorded
from bdshift.images.preprocessing import Preprocessing
from bdshift.jobs import JobContext
from bdshift.neurons.what_if import accuracy_by_class
from bdshift.remark import Remark
from bdshift.shift.cache import EmbeddingCache
from bdshift.shift.embed import Embedding


@dataclass(frozen=True)
class Machinery:
    """What a scan runs on: where, and what is kept of earlier runs."""

    device: torch.device
    cache: EmbeddingCache | None = None
    finished: FinishedDetectors | None = None


@dataclass(frozen=True)
class ReadModel:
    """A model whose network and preprocessing are settled, and its pass over the clean images."""

    model: ModelRecord
    images: ImagesRecord
    material: Material
    settled: Settled
    embedding: Embedding
    proposal: LabelProposal | None
    notes: tuple[Remark, ...]

    @property
    def preprocessing(self) -> Preprocessing:
        """The chosen one."""
        return self.settled.classifier.preprocessing

    @property
    def accuracy(self) -> float:
        """Clean accuracy."""
        return self.embedding.accuracy


def read_with_images(
    opened: Opened, clean: CleanSet, settings: ScanSettings, on: Machinery, job: JobContext
) -> ReadModel:
    """Choose network and preprocessing, and embed the clean images.

    Raises `InputError` as `choose_preprocessing` does.
    """
    settled, proposal, framing = choose_preprocessing(
        opened, clean, settings, device=on.device, job=job
    )
    material = Material(settled.classifier, clean)
    embedding = embed_cached(on.cache, material, device=on.device, batch=settings.batch, job=job)
    return read_as(opened, clean, settled, embedding, proposal, framing)


def read_as(
    opened: Opened,
    clean: CleanSet,
    settled: Settled,
    embedding: Embedding,
    proposal: LabelProposal | None = None,
    notes: Sequence[Remark] = (),
) -> ReadModel:
    """A model that is read as ``settled``, with its ``embedding`` of the clean images; ``notes``
    come before those on how it was read.
    """
    classifier, labeled = settled.classifier, clean.collection.labeled
    if not labeled and not clean.predicted:
        embedding = embedding.with_predictions()
        clean = clean.labeled_as(embedding)
    folders = zip(clean.collection.folders, clean.class_map.of_folder, strict=True)
    model = ModelRecord(
        path=recorded(classifier.path),
        sha256=classifier.sha256,
        container=classifier.layout.container,
        architecture=classifier.architecture,
        head=classifier.head_name,
        users_own=opened.from_user,
        weights=opened.state.layout.weights,
        weight=classifier.weight.cpu().numpy(),
        bias=classifier.bias.cpu().numpy(),
        prompts=classifier.prompts,
    )
    images = ImagesRecord(
        path=recorded(clean.collection.path),
        sha256=embedding.images_hash,
        available=len(clean.available),
        labeled=labeled,
        counts=tuple(np.bincount(embedding.labels, minlength=opened.classes).tolist()),
        class_names=clean.class_map.names,
        label_source=clean.class_map.source,
        order_guessed=clean.class_map.guessed and not _confirms_the_order(embedding),
        skipped=clean.collection.skipped + embedding.skipped,
        folders=dict(folders) if labeled else {},
    )
    said = (*notes, *reading_notes(opened, classifier, clean.left_out))
    return ReadModel(model, images, Material(classifier, clean), settled, embedding, proposal, said)


def examine_model(read: ReadModel, settings: ScanSettings, on: Machinery, job: JobContext) -> Audit:
    """The audit of a model: by the detectors asked for and those that its second stage affords."""
    classifier = read.settled.classifier
    if settings.search:
        seconds, precision = settings.search * pace(on.device), read.embedding.precision
        searched = second_stage(classifier, seconds, precision, settings.detectors)
        if not has_search(searched):
            needed = seconds_of_a_kind(classifier, precision, on.device)
            job.note(too_large(settings.search, needed))
        settings = replace(settings, detectors=searched)
    under = read.settled.readings
    asked = settings if settings.each_preprocessing else _by_the_norms(settings)
    count = len(asked.detectors) if len(asked.detectors) > 1 else 0  # parts of each reading
    with job.among(0, len(under) * count):
        audit = _examined(read, settings, on, job)
    other = partial(
        examine_alternative, material=read.material, audit=audit, device=on.device,
        cache=on.cache, job=job,
    )  # fmt: skip
    readings = []
    for number, one in enumerate(under):
        with job.among(len(settings.detectors) + number * count, (len(under) - number - 1) * count):
            readings.append(_examined_under(one, read, audit, asked, on, job))
    return replace(
        audit, alternatives=tuple(map(other, read.settled.alternatives)), readings=tuple(readings)
    )


def _by_the_norms(settings: ScanSettings) -> ScanSettings:
    return replace(settings, detectors=settings.detectors[:1])


def _examined_under(
    preprocessing: Preprocessing, read: ReadModel, audit: Audit, asked: ScanSettings,
    on: Machinery, job: JobContext,
) -> Audit:  # fmt: skip
    """The audit under another preprocessing, as ``asked``."""
    classifier = read.settled.classifier.with_preprocessing(preprocessing)
    trials = tuple(
        one for one in read.settled.ranking
        if (one.architecture, one.preprocessing) == (audit.model.architecture, preprocessing)
    )  # fmt: skip
    material = replace(read.material, classifier=classifier)
    embedding = embed_cached(
        on.cache, material, device=on.device, precision=audit.precision,
        batch=audit.settings.batch, job=job,
    )  # fmt: skip
    settled = replace(read.settled, classifier=classifier, ranking=trials)
    again = replace(read, material=material, settled=settled, embedding=embedding)
    return replace(_examined(again, asked, on, job), embedding=None)


def _examined(read: ReadModel, settings: ScanSettings, on: Machinery, job: JobContext) -> Audit:
    """By the detectors asked for, and by witnesses where they leave something open."""
    audit = examine_alone(read, settings, on, job)
    for detector, evidence in bearing_out(audit, read.material, on.device, on.finished, job):
        audit = with_evidence(audit, detector, evidence)
    return audit


def examine_alone(read: ReadModel, settings: ScanSettings, on: Machinery, job: JobContext) -> Audit:
    """The audit by the detectors asked for alone, of the chosen network alone."""
    return examine(
        read.model, read.images, settings, read.settled.ranking, read.embedding, read.material,
        proposal=read.proposal, notes=read.notes, finished=on.finished, device=on.device, job=job,
    )  # fmt: skip


def _confirms_the_order(embedding: Embedding) -> bool:
    """Whether the network recognizes most images of every class: where folders were given to the
    wrong classes, it would recognize next to none of those.
    """
    by_class = accuracy_by_class(embedding.logits, embedding.labels, embedding.logits.shape[1])
    return bool((by_class[np.unique(embedding.labels)] > 0.5).all())
