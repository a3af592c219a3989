"""The detectors of a scan, one after the other; those that an earlier run of it finished are not
run again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
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
    if finished is None or len(detectors) == 1:  # then there is nothing to go on after
        found = tuple(_of_each(subject, detectors, job))
    else:
        found = tuple(_of_each_unfinished(subject, detectors, model, finished, job))
    job.parts_over()
    return found


def _of_each_unfinished(
    subject: Subject,
    detectors: Sequence[Detector],
    model: ModelRecord,
    finished: FinishedDetectors,
    job: JobContext,
) -> Iterator[Evidence]:
    identity = _identity(subject, model)
    for number, one in enumerate(detectors, 1):
        job.part(number, len(detectors))
        made = finished.get(identity, one)
        if made is None:
            made = one.detect(subject, job)
            finished.keep(identity, made)
        else:
            job.note("{detector} was finished before the interruption",
                     detector=Sentence(one.label))  # fmt: skip
        yield made


def _of_each(
    subject: Subject, detectors: Sequence[Detector], job: JobContext
) -> Iterator[Evidence]:
    for number, one in enumerate(detectors, 1):
        if len(detectors) > 1:
            job.part(number, len(detectors))
        yield one.detect(subject, job)


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
