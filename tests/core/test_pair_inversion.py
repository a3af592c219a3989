"""Searching for a change along pairs of classes: on a network whose backdoor was made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from checker_network import Scanned, scan_cells, subject_of

from bdshift.changes import CHANGES, ChangeKind
from bdshift.detect.detector import DETECTORS, Detector
from bdshift.detect.image_search import ImageSearch
from bdshift.detect.pair_inversion import PairChanges, most_suspicious_pair
from bdshift.detect.rule import default_rule
from bdshift.jobs import SILENT
from bdshift.recovery.drop import MIN_FACTOR_OF_PAIR
from bdshift.recovery.scene import Scene
from bdshift.recovery.search import Found, search

SOURCE, TARGET, CLASSES = 1, 3, 5


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """Class 1 is sent to class 3, and no other class is."""
    return scan_cells(tmp_path_factory.mktemp("victim"), "one_to_one", classes=CLASSES)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """The same without a backdoor."""
    return scan_cells(tmp_path_factory.mktemp("clean"), "clean_cells", classes=CLASSES)


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> Detector:
    """With fewer steps and starting points than usual: the cells are easy to find."""
    kind = CHANGES["mask"]
    monkeypatch.setattr(kind, "steps", 40)
    monkeypatch.setattr(kind, "scouts", 64)
    return DETECTORS.parse("pair-mask:images=20")


def test_it_names_source_and_target(victim: Scanned, detector: Detector) -> None:
    subject = subject_of(victim)
    found = detector.detect(subject, SILENT)
    assert int(found.scores.argmin()) == TARGET
    assert found.scores[TARGET] < 1 / MIN_FACTOR_OF_PAIR
    assert most_suspicious_pair(found) == most_suspicious_pair(found, TARGET) == (SOURCE, TARGET)
    record = found.record
    assert isinstance(record, PairChanges)
    place = record.pairs.tolist().index([SOURCE, TARGET])
    there, back = record.pair_sizes[place]
    assert there == record.sizes[TARGET, 1]
    assert found.scores[TARGET] >= there / back
    assert record.asr[TARGET] > 0
    assert record.pictures[TARGET].std() > 0
    assert record.pictures[SOURCE].max() == 0 or record.sources[SOURCE] >= 0
    judged = detector.judge_evidence(found, default_rule())
    assert judged.suspected == (TARGET,)
    told = detector.details(found, subject.class_names)
    assert detector.cautions(found, subject.class_names) == ()
    assert str(told["pair"]) == "“class_1” → “class_3”"
    assert float(told["factor"]) == pytest.approx(1 / found.scores[TARGET], rel=0.01)


def test_a_clean_network_has_no_such_pair(clean: Scanned, detector: Detector) -> None:
    found = detector.detect(subject_of(clean), SILENT)
    assert found.scores.min() > 1 / MIN_FACTOR_OF_PAIR
    assert (found.scores <= 1).all(), "1 is no smaller than the controls"
    assert detector.judge_evidence(found, default_rule()).suspected == ()


def test_the_budget_decides_how_many_pairs_are_tried(victim: Scanned, detector: Detector) -> None:
    assert isinstance(detector, ImageSearch)
    assert detector.work(2) < detector.work(3) < detector.work(4) == detector.work(1000)
    subject = subject_of(victim)
    few = replace(detector, budget=1e-9).detect(subject, SILENT).record
    assert len(few.pairs) == 1
    assert len(detector.detect(subject, SILENT).record.pairs) == 8


def test_pairs_need_images_of_two_classes(victim: Scanned, detector: Detector) -> None:
    subject = subject_of(victim)
    one = subject.embedding
    rows = np.concatenate([np.flatnonzero(one.labels == k)[:9] for k in range(CLASSES)])
    few = replace(
        one, phi=one.phi[rows], logits=one.logits[rows], labels=one.labels[rows],
        thumbnails=one.thumbnails[rows], files=tuple(one.files[i] for i in rows),
    )  # fmt: skip
    found = detector.detect(replace(subject, embedding=few), SILENT)
    assert np.isnan(found.scores).all()
    assert most_suspicious_pair(found) is None
    [caution] = detector.cautions(found, subject.class_names)
    assert caution.code == "too-few-images-for-pairs"
    assert caution.values == {"count": 16}
    assert detector.judge_evidence(found, default_rule()).suspected == ()


def test_images_that_the_network_takes_for_another_class_are_left_out(
    victim: Scanned, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network trained with few images of a class takes most of them for another: to send those
    there takes no change.
    """
    subject = subject_of(victim)
    one, used = subject.embedding, set[int]()

    def noting(kind: ChangeKind, scene: Scene, *given: Any, **named: Any) -> Found:
        if (scene.labels == SOURCE).any():
            assert (scene.predicted == scene.labels).all()
            used.add(len(scene.labels))
        return search(kind, scene, *given, **named)

    monkeypatch.setattr("bdshift.recovery.pair_search.search", noting)
    own = np.flatnonzero((one.labels == SOURCE) & (one.logits.argmax(1) == SOURCE))
    for right, searched in ((15, set()), (17, {9})):
        used.clear()
        logits = one.logits.copy()
        logits[own[right:], TARGET] = logits.max() + 1
        found = detector.detect(replace(subject, embedding=replace(one, logits=logits)), SILENT)
        assert (SOURCE in found.record.pairs) == bool(searched), "16 are enough"
        assert used == searched, "half of them"


def test_a_file_names_no_classes_that_do_not_exist(victim: Scanned, detector: Detector) -> None:
    record = detector.detect(subject_of(victim), SILENT).record
    for wrong in ({"sources": np.full(CLASSES, CLASSES)}, {"pairs": record.pairs - CLASSES}):
        with pytest.raises(ValueError, match="do not exist"):
            replace(record, **wrong)


def test_evidence_of_another_kind_has_no_pair(victim: Scanned) -> None:
    audit, _ = victim
    assert most_suspicious_pair(audit.evidence[0]) is None
    assert math.isfinite(audit.evidence[0].scores.min())
