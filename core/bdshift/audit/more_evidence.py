"""One more detector for an audit that is there already."""

from __future__ import annotations

from dataclasses import replace

from bdshift.audit.records import Audit
from bdshift.detect.detector import Detector, Evidence, Subject
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


def with_evidence(audit: Audit, detector: Detector, evidence: Evidence) -> Audit:
    """The audit with what a detector found; it takes the place of the detector's older evidence."""
    settings = audit.settings
    detectors = [one for one in settings.detectors if one.name != detector.name]
    kept = [one for one in audit.evidence if one.name != detector.name]
    return replace(
        audit, settings=replace(settings, detectors=(*detectors, detector)),
        evidence=(*kept, evidence),
    )  # fmt: skip
