"""The margin from noise, on a network whose backdoor was made by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from checker_network import planted_subject

from bdshift.detect.detector import Subject
from bdshift.detect.detectors.margin import Margin
from bdshift.detect.margins import margins
from bdshift.detect.rules.mad import Mad
from bdshift.jobs import SILENT

TARGET = 2
QUICK = Margin(steps=30, starts=2)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return planted_subject(tmp_path_factory.mktemp("planted"), classes=8, target=TARGET)


def test_a_margin_is_that_over_the_largest_other() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.5], [3.0, 1.0, 2.5]])
    assert margins(logits, torch.tensor([0, 1])).tolist() == [0.5, -2.0]


def test_the_target_stands_out_and_no_class_of_the_clean_network(
    subject: Subject, tmp_path: Path
) -> None:
    found = QUICK.detect(subject, SILENT)
    judgment = QUICK.judge(found.scores, Mad())
    assert judgment.suspected == (TARGET,)
    others = np.delete(found.scores, TARGET)
    assert others.max() < -judgment.line < found.scores[TARGET]
    np.testing.assert_array_equal(judgment.rule.statistic(-np.log(found.scores)),
                                  judgment.statistics["mad"])  # fmt: skip
    np.testing.assert_array_equal(found.scores, found.record.plain)
    clean = QUICK.detect(planted_subject(tmp_path, classes=8, target=None), SILENT)
    assert clean.scores.max() < 1.1 * clean.scores.min()
    assert found.scores[TARGET] > 2 * others.max()


def test_without_the_own_features_only_the_target_keeps_its_margin(subject: Subject) -> None:
    record = QUICK.detect(subject, SILENT).record
    assert record.own[TARGET] > 0.9 * record.plain[TARGET]
    assert record.likeness[TARGET] < 0.1
    others = np.arange(8) != TARGET
    assert (record.own[others] < 0.1 * record.plain[others]).all()
    assert (record.likeness[others] > 0.3).all()
    free = dataclasses.replace(QUICK, guard=0.0).detect(subject, SILENT).record
    np.testing.assert_allclose(free.own, free.plain, rtol=1e-5)


def test_parts_of_a_batch_give_the_same_margins(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = QUICK.detect(subject, SILENT)
    monkeypatch.setattr("bdshift.recovery.scene._MAX_BATCH", 8)
    parts = QUICK.detect(subject, SILENT)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=0.02)
    assert parts.forwards == whole.forwards == 8 * 8 * 31
    assert parts.backwards == 8 * 8 * 30
