"""The detectors of a scan, one after the other; those that an earlier run of it finished are not
run again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from bdshift.audit.made import versions
from bdshift.audit.records import ModelRecord
from bdshift.detect.detector import Detector, Evidence, Subject
from bdshift.jobs import JobContext
from bdshift.words import Sentence


class FinishedDetectors(Protocol):
    """Keeps evidence (`bdshift.store.finished`)."""

    def get(self, identity: dict[str, Any], detector: Detector) -> Evidence | None:
        """What a detector found, if it is kept; ``identity`` is everything that its numbers depend
        on besides its settings.
        """

    def keep(self, identity: dict[str, Any], evidence: Evidence) -> None:
        """Remember what one found."""


def find_evidence(
    subject: Subject,
    detectors: Sequence[Detector],
    model: ModelRecord,
    finished: FinishedDetectors | None,
    job: JobContext,
) -> tuple[Evidence, ...]:
    """Of each detector, in their order; ``subject`` is the network that ``model`` describes."""
    several = len(detectors) > 1
    kept = finished if several else None  # after a single one, there is nothing to go on with
    identity = {} if kept is None else _identity(subject, model)
    found = []
    for number, one in enumerate(detectors, 1):
        if several:
            job.part(number, len(detectors))
        made = None if kept is None else kept.get(identity, one)
        if made is not None:
            job.note("{detector} was finished before the interruption",
                     detector=Sentence(one.label))  # fmt: skip
        else:
            made = one.detect(subject, job)
            if kept is not None:
                kept.keep(identity, made)
        found.append(made)
    job.parts_over()
    return tuple(found)


def _identity(subject: Subject, model: ModelRecord) -> dict[str, Any]:
    """The embedding stands for all that it was made of and with."""
    embedding, network = subject.embedding, subject.classifier
    numbers = hashlib.sha256()
    for one in (embedding.phi, embedding.logits, embedding.labels, subject.weight):
        numbers.update(np.ravel(one).data)
    return {
        "model": model.sha256, "weights": model.weights, "architecture": model.architecture,
        "preprocessing": repr(network and network.preprocessing), "images": embedding.images_hash,
        "embedding": numbers.hexdigest(), "precision": embedding.precision,
        "names": list(subject.class_names), "seed": subject.seed, "device": subject.device.type,
        "versions": versions(),
    }  # fmt: skip
