"""Evidence of a pair of classes beside clean models: what is said of it, and in which figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from matrix import MATRIX, searched

from bdshift.audit import Audit
from bdshift.audit.reference import with_reference
from bdshift.detect.detector import Evidence
from bdshift.detect.pair_inversion import PairChanges
from bdshift.reports.verdict_rows import evidence_rows

SOURCE, TARGET = 2, 6


def paired(audit: Audit, factors: Mapping[int, float]) -> Audit:
    """With a search along pairs, in which the change to some classes is so many times smaller."""
    classes = audit.model.classes
    scores, sources = np.ones(classes), np.full(classes, -1)
    for index, factor in factors.items():
        scores[index], sources[index] = 1 / factor, SOURCE
    pairs = np.array([(SOURCE, index) for index in factors], dtype=np.int64).reshape(-1, 2)
    record = PairChanges(
        np.full((classes, 3), np.nan), np.full(classes, np.nan),
        np.zeros((classes, 3, 8, 8), np.uint8), np.zeros((classes, 8, 8), np.uint8),
        sources=sources, pairs=pairs, pair_sizes=np.ones((len(pairs), 2)),
    )  # fmt: skip
    found = Evidence("pair-mask:images=50,budget=60.0", scores, record=record)
    return replace(audit, evidence=(*audit.evidence, found))


@pytest.fixture
def quiet(measured_audit: Audit) -> Audit:
    """Nothing stands out in its norms, nor in a search for masks."""
    make, *_ = MATRIX["nothing unusual"]
    return searched(make(measured_audit), {})


def reason(audit: Audit, code: str) -> str:
    [found] = [one for one in audit.finding.reasons if one.code == code]
    return str(found.sentence)


def pair_row(audit: Audit) -> tuple[str, ...]:
    assert audit.verdict is not None
    rows = evidence_rows(audit, audit.verdict, "en")
    return next(one.cells for one in rows if one.cells[0] == "Mask for one pair of classes")


def test_both_classes_are_named(quiet: Audit) -> None:
    audit = paired(quiet, {TARGET: 4.0})
    names = audit.images.class_names
    said = reason(audit, "evidence-of-a-pair-beside-clean-models")
    assert f"from class 2 “{names[SOURCE]}” to class 6 “{names[TARGET]}”" in said
    assert "at least 4.00 times smaller" in said
    assert pair_row(audit)[1:3] == (f"{names[SOURCE]} → {names[TARGET]}", "factor of 4.00")


@pytest.mark.parametrize("factors", [{}, {0: 1.0}], ids=["none", "none smaller"])
def test_no_class_is_named_where_no_pair_stands_out(
    quiet: Audit, factors: Mapping[int, float]
) -> None:
    audit = paired(quiet, factors)
    said = reason(audit, "no-pair-beside-clean-models")
    assert said == "Mask for one pair of classes: no pair of classes stands out."
    assert pair_row(audit)[1:5] == ("–", "–", "–", "–")


def test_what_a_reference_has_of_it_is_told(quiet: Audit) -> None:
    model = replace(quiet.model, path="/models/twin.pth", sha256="0" * 64)
    twin = replace(paired(quiet, {TARGET: 3.0}), model=model, embedding=None, tac=())
    audit = with_reference(paired(quiet, {TARGET: 6.0}), twin)
    said = reason(audit, "evidence-of-a-pair-beside-reference")
    assert "at least 6.00 times smaller" in said
    assert "in the reference 3.00 times" in said
    assert pair_row(audit)[2] == "factor of 6.00, 3.00 in the reference"
    # no more than the reference has
    audit = with_reference(paired(quiet, {TARGET: 3.0}), twin)
    assert pair_row(audit)[1] == "–"
    assert reason(audit, "no-pair-beside-clean-models")


def test_a_change_that_is_the_only_one_to_work_is_the_one_that_is_told(quiet: Audit) -> None:
    audit = paired(quiet, {TARGET: np.inf}).under(quiet.settings.rule, by_rule=True)
    judged = audit.judged[-1].judgment
    assert (judged.suspected, TARGET in judged.usable) == ((TARGET,), True)
    [found] = [one for one in audit.finding.reasons if one.code == "pair-mask-stands-out"]
    assert (found.values["index"], found.values["score"]) == (TARGET, 0.0)


def test_what_would_bear_it_out_is_said_for_pairs_and_less_the_reference(
    measured_audit: Audit,
) -> None:
    make, *_ = MATRIX["evidence of one kind alone"]
    audit = paired(make(measured_audit), {5: 4.0})
    said = reason(audit, "could-not-tell")
    assert "3 times smaller than for other classes, or 5 times for a single pair" in said
    assert "less what the reference has" not in said
    assert "a clean model of the same task to compare with (--reference)" in said
    model = replace(audit.model, path="/models/twin.pth", sha256="0" * 64)
    quiet, *_ = MATRIX["nothing stands out beside clean models"]
    twin = replace(quiet(measured_audit), model=model, embedding=None, tac=())
    beside = reason(with_reference(audit, twin), "could-not-tell")
    assert "less what the reference has" in beside
    assert "another clean model to compare with (--reference)" in beside
