"""What the reference of an audit explains, and the facts about it that a finding depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bdshift.audit.doubts import MISREAD
from bdshift.audit.facts import ReferenceFacts
from bdshift.detect.detector import Detector, Evidence
from bdshift.files import KeptPath
from bdshift.remark import Remark
from bdshift.verdict.beyond import Explained, explained_drops
from bdshift.verdict.decide import is_alike

if TYPE_CHECKING:
    from bdshift.audit.records import Audit


def facts_of(reference: Audit, known: Sequence[tuple[Detector, Evidence]] = ()) -> ReferenceFacts:
    """The facts about a reference, from its own audit, for a model with the evidence ``known``."""
    found = reference.finding
    return ReferenceFacts(
        KeptPath(reference.model.path).name, reference.model.architecture, reference.accuracy,
        found.classes, next((one for one in found.reasons if one.code in MISREAD), None),
        tuple(_said(reference, known)),
    )  # fmt: skip


def _said(reference: Audit, known: Sequence[tuple[Detector, Evidence]]) -> Iterator[Remark]:
    """What detectors say of both."""
    theirs = {one.detector.name: one for one in reference.judged}
    for detector, evidence in known:
        other = theirs.get(detector.name)
        if other is None or not is_alike(other.detector, detector):
            continue
        remark = detector.beside(evidence, other.evidence)
        if remark is not None:
            yield remark


def explained_by(reference: Audit, known: Sequence[tuple[Detector, Evidence]]) -> Explained:
    """What a reference explains of evidence: nothing if it was probably read wrongly, nothing of
    classes that it is suspected of, and only what was measured in the same way.
    """
    facts = facts_of(reference)
    own = {detector.name: detector for detector, _ in known}
    found: dict[str, NDArray[np.float64]] = {}
    for one in reference.judged if facts.misread is None else ():
        name = one.detector.name
        if name in own and is_alike(one.detector, own[name]):
            explained = explained_drops(one.detector, one.evidence)
            explained[list(facts.suspected)] = 0.0
            found[name] = explained
    return found
