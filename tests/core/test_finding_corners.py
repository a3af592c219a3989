"""What a finding says where kinds of evidence, recoveries, references and doubts meet."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_verdicts import evidence, spread_table
from matrix import MATRIX, searched

from bdshift.audit import Audit
from bdshift.audit.beside import could_not_tell
from bdshift.audit.deciding import deciding, deciding_p, rests_on
from bdshift.audit.next_step import next_step
from bdshift.audit.reference import with_reference
from bdshift.detect.detectors.pair_mask import PairMaskInversion
from bdshift.remark import Remark
from bdshift.verdict.decide import decide


def made(audit: Audit, name: str) -> Audit:
    make, *_ = MATRIX[name]
    return make(audit)


def said(audit: Audit) -> dict[str, Remark]:
    """What the finding says, by its codes; of several with one, the last."""
    return {one.code: one for one in (*audit.finding.reasons, *audit.finding.cautions)}


def test_a_search_with_other_settings_may_bear_a_class_out() -> None:
    given = evidence(**{"shift": {3: 1.6}, "additive": {}, "mask:images=320": {3: 100.0}})
    found = decide(given, spread_table())
    assert found is not None
    assert [one.detector.spec for one in found.witnesses] == [given[2][0].spec]
    assert found.suspected == (3,)
    alone = decide(given[:2], spread_table())
    assert alone is not None
    assert (alone.suspected, alone.alone) == ((), (3,))


def test_a_search_that_found_out_nothing_is_no_witness() -> None:
    given = evidence(**{"shift": {3: 1.6}, "additive": {}, "mask:images=320": {}})
    unknown = replace(given[2][1], scores=np.full(10, np.nan))
    found = decide([*given[:2], (given[2][0], unknown)], spread_table())
    assert found is not None
    assert not found.witnesses


def test_a_tie_speaks_against_no_class() -> None:
    table = spread_table()
    found = decide(evidence(shift={0: 1.6}, mask={0: 9.0}, additive={}), table)
    assert found is not None
    assert found.suspected == (0,)
    assert found.suspected_by("mask") == (0,)
    assert found.suspected_by("additive") == (), "all classes are alike there"


@pytest.mark.parametrize("classes", [3, 4, 5, 10])
def test_a_pairs_factor_is_what_its_controls_say(classes: int) -> None:
    scores = np.ones(classes)
    scores[:2] = 0.15, 0.4
    [(_, found)] = evidence(**{"pair-mask": {}})
    drops = PairMaskInversion().drops(replace(found, scores=scores))
    assert np.exp(drops[:3]) == pytest.approx([1 / 0.15, 1 / 0.4, 1])
    odd = np.array([np.nan, 0.0, 2.0, -1.0])
    drops = PairMaskInversion().drops(replace(found, scores=odd))
    assert np.array_equal(drops, [np.nan, np.inf, 0, np.nan], equal_nan=True)


def test_whose_p_decides(measured_audit: Audit) -> None:
    for name in ("it stands out beside clean models", "nothing stands out beside clean models"):
        audit = made(measured_audit, name)
        assert audit.verdict is not None
        assert deciding_p(audit) == audit.verdict.standing.p
    recovered = made(measured_audit, "only a recovered trigger stands out beside clean models")
    assert recovered.finding.level == "backdoored"
    assert math.isnan(deciding_p(recovered)), "the comparison found nothing, and a trigger has no p"


def test_a_doubt_rests_on_no_evidence(measured_audit: Audit) -> None:
    audit = made(measured_audit, "it stands out beside clean models")
    shown = deciding(audit)
    assert shown is not None
    assert rests_on(audit, shown) is not None
    few = replace(audit, images=replace(audit.images, counts=(1,) * audit.model.classes), tac=())
    assert few.finding.level == "inconclusive"
    assert rests_on(few, shown) is None
    open_one = made(measured_audit, "evidence of one kind alone")
    assert open_one.finding.reasons[0].code == "could-not-tell"
    assert rests_on(open_one, open_one.judged[0]) is not None


def test_evidence_between_the_two_is_followed_by_a_recovery(measured_audit: Audit) -> None:
    audit = made(measured_audit, "evidence of one kind alone")
    assert next_step(audit) == "recover"
    assert next_step(made(measured_audit, "nothing stands out beside clean models")) == "report"


def test_a_reference_that_was_not_used_suspects_nothing(measured_audit: Audit) -> None:
    both = made(measured_audit, "a reference is suspected of it, too")
    assert "reference-suspected-too" in said(both)
    wrong = made(measured_audit, "a reference was read wrongly").reference
    assert wrong is not None
    assert both.reference is not None
    odd = replace(wrong, evidence=both.reference.evidence)
    found = said(with_reference(both, odd))
    assert "reference-not-used" in found
    assert "reference-suspected-too" not in found


def test_a_reference_is_not_said_to_change_nothing_of_a_suspect(measured_audit: Audit) -> None:
    quiet = made(measured_audit, "nothing stands out beside clean models")
    reference = made(measured_audit, "a reference explains it").reference
    assert "reference-changes-nothing" in said(with_reference(quiet, reference))
    audit = made(measured_audit, "only a recovered trigger stands out beside clean models")
    assert "reference-changes-nothing" not in said(with_reference(audit, reference))


def test_the_only_class_that_is_reached_has_no_factor(measured_audit: Audit) -> None:
    audit = made(measured_audit, "a reference explains it")
    mask = audit.evidence[1]
    scores = np.full(audit.model.classes, np.inf)
    scores[4] = 5.0
    alone = replace(audit, evidence=(audit.evidence[0], replace(mask, scores=scores)))
    texts = [str(one.sentence) for one in alone.finding.reasons]
    assert not [one for one in texts if "∞" in one or "inf" in one]
    assert any("is the only one that is reached, and 3." in one for one in texts)


def test_what_is_reached_by_nature_is_not_denied(measured_audit: Audit) -> None:
    quiet = made(measured_audit, "nothing unusual")
    audit = searched(quiet, {}, {4: 0.6})
    scores = np.full(audit.model.classes, np.inf)
    scores[4] = 5.0
    audit = replace(audit, evidence=(audit.evidence[0], replace(audit.evidence[1], scores=scores)))
    found = said(audit)
    assert "natural-trigger" in found
    assert "no-other-class-reached" in found
    assert "no-class-reached" not in found


def test_just_above_the_limit_no_number_contradicts_another(measured_audit: Audit) -> None:
    audit = made(measured_audit, "evidence of one kind alone")
    assert audit.verdict is not None
    standing = replace(audit.verdict.standing, p=0.0204, count=3, estimated=True)
    facts = replace(audit.facts, verdict=replace(audit.verdict, standing=standing, limit=0.02))
    remark = could_not_tell(facts)
    assert remark is not None
    assert "p = 0.02" in str(remark.sentence)
    assert "just above the 0.02" in str(remark.sentence)


def test_a_network_that_was_too_large_is_not_advised_to_leave_out_quick(
    measured_audit: Audit,
) -> None:
    settings = replace(measured_audit.settings, search=180.0)
    asked = replace(made(measured_audit, "nothing unusual"), settings=settings)
    found = said(asked)
    assert "second-stage-not-run" not in found
    assert "within 180 seconds" in str(found["second-stage-too-large"].sentence)
    assert "--budget" in str(found["second-stage-too-large"].sentence)
    assert "--budget" not in str(found["second-stage-too-large"].in_window)
