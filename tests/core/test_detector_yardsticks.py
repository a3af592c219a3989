"""The published detectors: what they find on a network whose backdoor was made by hand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from checker_network import CELL, SIDE, checker, planted_subject
from scipy import stats

from bdshift.audit import Audit
from bdshift.detect.detector import DETECTORS, Detector, Subject
from bdshift.detect.detectors.decree import Decree
from bdshift.detect.detectors.mm_bd import MmBd, p_of_largest
from bdshift.detect.detectors.neural_cleanse import NeuralCleanse, anomaly_index, flagged_by
from bdshift.errors import InputError
from bdshift.jobs import SILENT, Canceled, JobContext, Progress
from bdshift.recovery.scene import scene_of
from bdshift.store import load_audit, save_audit

TARGET = 2
CLEANSE = NeuralCleanse(steps=80, batches=1, batch=16)
NAMES = ("neural-cleanse:steps=3,batches=2", "mm-bd:steps=5", "decree:rounds=3", "margin:steps=4")


class StopsAt(JobContext):
    """Cancels itself at the second step."""

    def report(self, event: object) -> None:
        if isinstance(event, Progress) and event.unit in ("steps", "rounds"):
            self.seen = event
            if event.done >= 2:
                self.cancel()


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return planted_subject(tmp_path_factory.mktemp("planted"), target=TARGET)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return planted_subject(tmp_path_factory.mktemp("clean"), target=None)


def test_the_planted_network_is_right_and_obeys_its_trigger(subject: Subject) -> None:
    assert subject.embedding.accuracy == 1
    assert subject.classifier is not None
    images = torch.zeros(1, 3, SIDE, SIDE)
    images[..., -CELL:, -CELL:] = checker()
    assert subject.classifier.network(images).argmax() == TARGET


def test_neural_cleanse_needs_the_smallest_mask_for_the_target(subject: Subject) -> None:
    found = CLEANSE.detect(subject, SILENT)
    others = np.delete(found.scores, TARGET)
    assert found.scores[TARGET] < 0.7 * others.min()
    assert found.record.flagged[:1] == (TARGET,)
    assert TARGET not in found.record.unreached
    assert found.record.steps.max() <= CLEANSE.steps
    batches = int(found.record.steps.sum()) * CLEANSE.batches
    assert found.forwards == found.backwards == batches * CLEANSE.batch


def test_its_trigger_works_and_is_where_the_checker_belongs(subject: Subject) -> None:
    assert subject.classifier is not None
    with scene_of(
        subject.classifier, subject.collection, subject.embedding, 60, seed=0,
        device=subject.device,
    ) as scene:  # fmt: skip
        found = CLEANSE.invert(scene, TARGET, 0)
        images = scene.pixels * (1 - found.mask) + found.mask * found.pattern
        assert (scene.run(images)[0].argmax(1) == TARGET).float().mean() >= 0.9
    assert found.reached
    assert len(found.sizes) <= CLEANSE.steps
    works = found.sizes[np.isfinite(found.sizes)]
    assert works[0] > 2 * found.l1 > works.min(), "it begins large"
    corner = found.mask[0, -CELL:, -CELL:].sum()
    assert corner > 0.8 * found.l1


def test_a_class_that_never_reaches_the_threshold_is_told(subject: Subject) -> None:
    found = NeuralCleanse(steps=1, batches=1).detect(subject, SILENT)
    assert found.record.unreached == tuple(range(4))
    assert np.isfinite(found.scores).all(), "as published, it gets its last mask"


def test_the_anomaly_index_is_the_published_one() -> None:
    sizes = np.array([2.0, 10.0, 11.0, 12.0, 30.0])
    index = anomaly_index(sizes)  # median 11, absolute deviations 9 1 0 1 19, MAD 1
    np.testing.assert_allclose(index, np.array([9, 1, 0, 1, 19]) / 1.4826)
    assert flagged_by(sizes, index) == (0,), "not the large one, which is farther away"
    equal = anomaly_index(np.array([5.0, 5.0, 5.0, 1.0]))
    assert np.isnan(equal).all()
    assert flagged_by(np.array([5.0, 5.0, 5.0, 1.0]), equal) == ()
    with_nan = np.array([2.0, np.nan, 10.0, 11.0, 12.0, 30.0])
    np.testing.assert_allclose(np.delete(anomaly_index(with_nan), 1), index)
    assert flagged_by(with_nan, anomaly_index(with_nan)) == (0,)
    assert np.isnan(anomaly_index(np.full(3, np.nan))).all()
    np.testing.assert_allclose(anomaly_index(np.array([1.0, 3.0])), 1 / 1.4826)


def test_mm_bd_reaches_the_largest_margin_for_the_target(tmp_path: Path) -> None:
    for target, suspect in ((TARGET, TARGET), (None, -1)):
        subject = planted_subject(tmp_path / str(target), classes=8, target=target, images=2)
        found = MmBd(steps=60).detect(subject, SILENT)
        assert found.record.suspect == suspect
        assert (found.record.p < 0.05) == (target is not None)
        assert (found.scores.argmax() == TARGET) == (target is not None)
        assert found.forwards == found.backwards == 30 * found.record.steps.sum()


def test_the_p_value_is_that_of_the_fitted_gamma() -> None:
    scores = np.array([9.0, 10.0, 10.5, 11.5, 13.0, 40.0, 9.5])
    shape, place, scale = stats.gamma.fit(np.sort(np.delete(scores, 5)))
    below = stats.gamma.cdf(40.0, shape, loc=place, scale=scale)
    assert p_of_largest(scores) == pytest.approx(1 - below**7)
    assert p_of_largest(scores) < 0.05 < p_of_largest(np.delete(scores, 5))
    assert math.isnan(p_of_largest(np.array([1.0, 2.0])))
    assert math.isnan(p_of_largest(np.full(9, 3.0)))
    assert p_of_largest(np.append(scores, [np.nan, np.inf])) == pytest.approx(p_of_largest(scores))


def test_decree_covers_little_and_sends_images_to_the_target(
    subject: Subject, clean: Subject
) -> None:
    found = Decree().detect(subject, SILENT)
    assert found.record.flagged
    assert found.record.cosine > 0.99
    assert found.record.share[TARGET] == 1
    assert found.scores[TARGET] == pytest.approx(found.record.pl1)
    assert np.isinf(np.delete(found.scores, TARGET)).all()
    again = Decree().detect(clean, SILENT)
    assert again.record.flagged, "the encoder is the same; only the head ignores it"
    assert np.isinf(again.scores).all()


def test_decree_that_finds_nothing_says_so(subject: Subject) -> None:
    found = Decree(rounds=1).detect(subject, SILENT)
    assert math.isnan(found.record.pl1)
    assert not found.record.flagged
    assert np.isinf(found.scores).all()


@pytest.mark.parametrize("text", NAMES)
def test_the_seed_decides_every_number(subject: Subject, text: str) -> None:
    detector = DETECTORS.parse(text)
    first, again, other = (
        detector.detect(dataclasses.replace(subject, seed=seed), SILENT).scores
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("text", NAMES)
def test_a_detector_can_be_canceled_at_any_step(subject: Subject, text: str) -> None:
    job = StopsAt()
    with pytest.raises(Canceled):
        DETECTORS.parse(text).detect(subject, job)
    assert job.seen.done == 2


@pytest.mark.parametrize("text", NAMES)
def test_a_detector_needs_the_network(subject: Subject, text: str) -> None:
    with pytest.raises(InputError, match="not only the audit"):
        DETECTORS.parse(text).detect(dataclasses.replace(subject, classifier=None), SILENT)


@pytest.mark.parametrize("text", NAMES)
def test_two_classes_and_broken_weights_do_no_harm(tmp_path: Path, text: str) -> None:
    subject = planted_subject(tmp_path, classes=2, target=1, images=3)
    detector: Detector = DETECTORS.parse(text)
    assert detector.detect(subject, SILENT).scores.shape == (2,)
    assert subject.classifier is not None
    conv = subject.classifier.network.get_submodule("conv")
    assert isinstance(conv, torch.nn.Conv2d)
    conv.weight[0, 0] = torch.nan
    scores = detector.detect(subject, SILENT).scores
    assert not np.isfinite(scores).any()


def test_records_come_back_from_an_audit_file(victim_audit: Audit, tmp_path: Path) -> None:
    subject = planted_subject(tmp_path / "twelve", classes=12, target=TARGET, images=2)
    found = tuple(DETECTORS.parse(text).detect(subject, SILENT) for text in NAMES)
    detectors = (*victim_audit.settings.detectors, *(DETECTORS.parse(text) for text in NAMES))
    settings = dataclasses.replace(victim_audit.settings, detectors=detectors)
    both = dataclasses.replace(
        victim_audit, evidence=(victim_audit.evidence[0], *found), settings=settings
    )
    save_audit(both, tmp_path / "a.h5")
    for one, again in zip(found, load_audit(tmp_path / "a.h5").evidence[1:], strict=True):
        assert again.detector == one.detector
        np.testing.assert_array_equal(again.scores, one.scores)
        for field in dataclasses.fields(one.record):
            value = getattr(one.record, field.name)
            np.testing.assert_array_equal(getattr(again.record, field.name), value)
