"""Every rule, detector, export form and labeling: its words, its text, and what its kind promises.

Attacks and purification methods have test_triggers.py and test_methods.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from members import check_member, is_japanese
from quick import quick_detector, shorten_searches

from bdshift.audit import Audit, Material
from bdshift.checkpoints.export import EXPORT_FORMS
from bdshift.detect.detector import DETECTORS, Subject
from bdshift.detect.rule import RULES
from bdshift.jobs import SILENT
from bdshift.lab.condition import CONDITIONS
from bdshift.lab.regime import REGIMES
from bdshift.registry import Registry
from bdshift.remark import codes
from bdshift.triggers.labeling import LABELINGS, Roles

REGISTRIES: list[Registry[Any]] = [RULES, DETECTORS, EXPORT_FORMS, LABELINGS, REGIMES, CONDITIONS]
MEMBERS = [
    pytest.param(registry, name, id=f"{registry.noun} {name}")
    for registry in REGISTRIES
    for name in (*registry, *(one.name for one in registry.presets()))
]


@pytest.mark.parametrize(("registry", "name"), MEMBERS)
def test_every_member_explains_itself(registry: Registry[Any], name: str) -> None:
    check_member(registry, name)


@pytest.mark.parametrize("name", [*RULES])
def test_a_rule_judges_values_whatever_their_order(name: str) -> None:
    rule = RULES.parse(name)
    assert is_japanese(rule.column_help)
    rng = np.random.default_rng(4)
    values = rng.normal(10, 0.3, 40)
    values[7] = 3
    order = rng.permutation(40)
    assert rule.flagged(values) == [7]
    assert order[rule.flagged(values[order])].tolist() == [7]
    np.testing.assert_allclose(rule.statistic(values)[order], rule.statistic(values[order]))
    assert values[7] < rule.line(values) < np.delete(values, 7).min()
    assert rule.flagged(np.full(40, 5.0)) == []
    assert rule.flagged(np.array([])) == []
    assert rule.can_flag(values)
    assert not rule.can_flag(values[:1])
    nearly = 1 + np.array([-40, 0, 1, -1, 2, -2, 1, -1, 0, 1]) * np.finfo(float).eps
    assert rule.flagged(nearly) == [], "rounding is no outlier"
    assert np.isnan(rule.line(nearly))


@pytest.mark.parametrize("name", [*DETECTORS])
def test_a_detector_scores_every_class_and_repeats_itself(
    victim_audit: Audit, victim_material: Material, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    detector = quick_detector(name)
    texts = (detector.unit, detector.score_help, detector.short, *detector.templates().values())
    assert all(is_japanese(text) for text in texts)
    assert {f"{name}-{kind}" for kind in detector.templates()} <= set(codes())
    assert victim_audit.embedding is not None
    subject = Subject(
        victim_audit.embedding, victim_audit.model.weight, victim_audit.images.class_names,
        victim_material.classifier, victim_material.clean.collection, victim_material.clean.files,
    )  # fmt: skip
    first, second = (detector.detect(subject, SILENT) for _ in range(2))
    assert first.detector == detector.spec
    assert first.scores.shape == (victim_audit.model.classes,)
    assert first.scores.dtype == np.float64
    assert not first.scores.flags.writeable
    assert first.pairs is None or first.pairs.shape == (victim_audit.model.classes,) * 2
    np.testing.assert_array_equal(first.scores, second.scores)
    assert isinstance(first.record, detector.record)
    assert len(str(first.cost)) > 0
    judgment = detector.judge(first.scores, RULES.parse("grubbs"))
    assert set(judgment.flagged) <= set(judgment.usable)


@pytest.mark.parametrize("name", [*LABELINGS])
def test_a_labeling_counts_no_image_as_a_success_that_is_right_anyway(name: str) -> None:
    labeling = LABELINGS.parse(name)
    labels = torch.arange(5).repeat(20)
    roles = Roles(
        target=2 if labeling.has_target else -1, source=1 if labeling.has_source else -1, classes=5
    )
    attacked = labeling.to_attack(labels, roles)
    wanted = labeling.wanted(labels, roles)
    assert len(attacked) > 0
    assert (labels[attacked] != wanted[attacked]).all()
    assert ((wanted >= 0) & (wanted < 5)).all()
    poisoned = labeling.to_poison(labels, roles)
    assert len(poisoned.unique()) == len(poisoned) > 0
    if labeling.keeps_labels:
        assert (labels[poisoned] == wanted[poisoned]).all()
    if labeling.has_source:
        assert ((labels[attacked] - roles.source) % roles.classes < labeling.sources).all()
