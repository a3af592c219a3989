"""More detectors for an audit that is there already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from bdshift.audit.finished import FinishedDetectors, find_evidence
from bdshift.audit.records import Audit
from bdshift.audit.second_stage import second_stage, witnesses
from bdshift.audit.stages import Material
from bdshift.detect.detector import Detector, Evidence, Subject
from bdshift.devices import pace, pick_device
from bdshift.errors import UsageError
from bdshift.jobs import SILENT, JobContext


def look_further(audit: Audit, detector: Detector, *, job: JobContext = SILENT) -> Evidence:
    """What a detector that needs no network finds in the cached embedding.

    Raises `UsageError` if the audit was saved without embeddings.
    """
    if audit.embedding is None:
        raise UsageError("the audit was saved without embeddings; scan again")
    names, seed = audit.images.class_names, audit.settings.seed
    return detector.detect(Subject(audit.embedding, audit.model.weight, names, seed=seed), job)


def search_further(
    audit: Audit,
    material: Material,
    seconds: float,
    *,
    device: str = "auto",
    finished: FinishedDetectors | None = None,
    job: JobContext = SILENT,
) -> list[tuple[Detector, Evidence]]:
    """What the second stage of a scan finds (`bdshift.audit.second_stage`), for an audit that had
    none: each detector that ``seconds`` afford, and its evidence, witnesses among them. What was
    ``finished`` is not searched for again.

    Raises `UsageError` if the audit was saved without embeddings.
    """
    if audit.embedding is None:
        raise UsageError("the audit was saved without embeddings; scan again")
    asked, where = audit.settings.detectors, pick_device(device)
    afforded, precision = seconds * pace(where), audit.embedding.precision
    more = second_stage(material.classifier, afforded, precision, asked)[len(asked) :]
    found = _evidence(audit, material, more, where, finished, job)
    searched = with_search(audit, found, seconds)
    return found + bearing_out(searched, material, where, finished, job)


def bearing_out(
    audit: Audit,
    material: Material,
    where: torch.device,
    finished: FinishedDetectors | None,
    job: JobContext,
) -> list[tuple[Detector, Evidence]]:
    """What witnesses say (`bdshift.audit.second_stage.witnesses`) of an audit whose second stage is
    over, within as many seconds again.
    """
    seconds = audit.settings.search * pace(where)
    used = audit.settings.detectors
    more = witnesses(audit.verdict, material.classifier, seconds, audit.precision, used)
    return _evidence(audit, material, more, where, finished, job)


def _evidence(
    audit: Audit,
    material: Material,
    detectors: Sequence[Detector],
    where: torch.device,
    finished: FinishedDetectors | None,
    job: JobContext,
) -> list[tuple[Detector, Evidence]]:
    if not detectors:
        return []
    assert audit.embedding is not None  # `search_further` has looked, and a scan has it
    names, seed = audit.images.class_names, audit.settings.seed
    subject = material.subject(audit.embedding, names, where, seed)
    found = find_evidence(subject, detectors, audit.model, finished, job)
    return list(zip(detectors, found, strict=True))


def with_search(audit: Audit, found: Iterable[tuple[Detector, Evidence]], seconds: float) -> Audit:
    """The audit as if its scan had had a second stage of ``seconds``, which ``found`` this."""
    for detector, evidence in found:
        audit = with_evidence(audit, detector, evidence)
    return replace(audit, settings=replace(audit.settings, search=seconds))


def with_evidence(audit: Audit, detector: Detector, evidence: Evidence) -> Audit:
    """The audit with what a detector found; it takes the place of the detector's older evidence."""
    settings = audit.settings
    detectors = [one for one in settings.detectors if one.name != detector.name]
    kept = [one for one in audit.evidence if one.name != detector.name]
    return replace(
        audit, settings=replace(settings, detectors=(*detectors, detector)),
        evidence=(*kept, evidence),
    )  # fmt: skip
