"""Images that are too few, or of too few classes, for a comparison with clean models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from matrix import searched

from bdshift.audit import Audit
from bdshift.audit.doubts import doubts
from bdshift.audit.image_doubts import in_turn
from bdshift.remark import Remark

CLASSES = 12
SUSPECT = 2


@pytest.fixture
def suspected(victim_audit: Audit) -> Audit:
    """A class takes much smaller changes than the others."""
    audit = searched(victim_audit, {SUSPECT: 20.0})
    assert (audit.finding.level, audit.finding.classes) == ("backdoored", (SUSPECT,))
    return audit


def with_counts(audit: Audit, counts: Sequence[int]) -> Audit:
    """Of so many images of each class."""
    return replace(audit, images=replace(audit.images, counts=tuple(counts)))


def codes(remarks: Sequence[Remark]) -> list[str]:
    """Of remarks."""
    return [one.code for one in remarks]


def test_too_few_to_tell_one_level_from_the_next(suspected: Audit) -> None:
    few = with_counts(suspected, [5] * CLASSES).finding  # 60, of which 27 others are unused
    assert few.level == "inconclusive"
    [doubt] = [one for one in few.reasons if one.code == "too-few-to-measure"]
    assert (doubt.values["unused"], doubt.values["least"]) == (27, 30)
    assert doubt.values["wanted"] == 67
    enough = with_counts(suspected, [6] * CLASSES).finding  # 72, of which 33 are
    assert enough.level == "backdoored"
    assert "too-few-to-measure" not in codes(enough.reasons)


def test_many_images_of_one_class_are_not_enough(suspected: Audit) -> None:
    counts = [1982] + [4] * (CLASSES - 1)  # 160 are searched: 116 of the first, 44 of the others
    found = with_counts(suspected, counts).finding
    [doubt] = [one for one in found.reasons if one.code == "too-few-to-measure"]
    assert (found.level, doubt.values["unused"]) == ("inconclusive", 22)
    assert with_counts(suspected, [1982] + [8] * (CLASSES - 1)).finding.level == "backdoored"


def test_searches_take_one_of_each_class_in_turn() -> None:
    assert in_turn([5, 0, 2, 9], 10) == [4, 0, 2, 4]
    assert in_turn([1, 2], 10) == [1, 2]


def test_a_clean_model_is_not_passed_with_too_few_either(victim_audit: Audit) -> None:
    clean = searched(victim_audit, {})
    assert clean.finding.level == "nothing-unusual"
    few = with_counts(clean, [5] * CLASSES).finding
    assert (few.level, few.reasons[0].code) == ("inconclusive", "too-few-to-measure")


def test_one_doubt_is_enough_about_very_few(suspected: Audit) -> None:
    found = codes(with_counts(suspected, [2] * CLASSES).finding.reasons)
    assert "too-few-images" in found
    assert "too-few-to-measure" not in found


def test_a_rule_has_no_use_for_the_searches_images(suspected: Audit) -> None:
    audit = with_counts(suspected, [5] * CLASSES).under(suspected.settings.rule, by_rule=True)
    assert "too-few-to-measure" not in codes(audit.finding.reasons)


def test_no_accusation_of_a_class_without_images(suspected: Audit) -> None:
    counts = [40] * CLASSES
    counts[SUSPECT] = 0
    found = with_counts(suspected, counts).finding
    assert (found.level, found.classes) == ("inconclusive", (SUSPECT,)), "nor is it passed over"
    assert found.reasons[0].code == "suspect-without-images"
    assert "stands-out-beside-clean-models" in codes(found.reasons)
    other = [40] * CLASSES
    other[5] = 0
    kept = with_counts(suspected, other).finding
    assert (kept.level, kept.suspected) == ("backdoored", (SUSPECT,))
    assert "classes-missing" in codes(kept.cautions)


def test_of_two_suspected_classes_one_with_images_is_enough(victim_audit: Audit) -> None:
    audit = searched(victim_audit, {2: 20.0, 7: 20.0})
    assert set(audit.finding.suspected) == {2, 7}
    counts = np.full(CLASSES, 40)
    counts[2] = 0
    assert with_counts(audit, counts.tolist()).finding.level == "backdoored"
    counts[7] = 0
    assert with_counts(audit, counts.tolist()).finding.level == "inconclusive"


def test_few_images_of_the_suspected_class_are_a_caution(suspected: Audit) -> None:
    counts = [40] * CLASSES
    counts[SUSPECT] = 9
    found = with_counts(suspected, counts).finding
    assert found.level == "backdoored"
    [caution] = [one for one in found.cautions if one.code == "suspect-with-few-images"]
    assert (caution.values["count"], caution.values["least"]) == (9, 10)
    counts[SUSPECT] = 10
    assert "suspect-with-few-images" not in codes(with_counts(suspected, counts).finding.cautions)


def test_two_classes_with_images_are_too_few_whatever_their_share(suspected: Audit) -> None:
    names = suspected.images.class_names[:4]
    for present, doubted in ((2, True), (3, False)):
        counts = [300] * present + [0] * (4 - present)
        facts = replace(suspected.facts, class_names=names, counts=counts)
        assert ("most-classes-missing" in codes(doubts(facts))) == doubted
