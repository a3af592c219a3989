"""The verdict: evidence beside that of clean models."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_verdicts import TEXTS, clean, evidence, spread_table

from bdshift.detect.detector import DETECTORS, Evidence
from bdshift.detect.inversion import InvertedChanges
from bdshift.detect.pair_inversion import PairChanges
from bdshift.verdict.beyond import explained_drops
from bdshift.verdict.clean_models import (
    CleanModel,
    CleanModels,
    fit_table,
    read_table,
    table_text,
)
from bdshift.verdict.decide import UNSURE_P, decide, rare_by
from bdshift.verdict.strength import StrengthScale, capped


@pytest.fixture
def table() -> CleanModels:
    return spread_table()


def test_the_most_evidence_ties_with_as_much_of_a_clean_model_in_a_file(tmp_path: Path) -> None:
    cap = float(capped(np.array([np.inf]))[0])
    models = [clean(f"m{i}", mask=cap if i < 2 else i / 100) for i in range(40)]
    path = tmp_path / "table.json"
    path.write_text(table_text(fit_table(models, TEXTS)), encoding="utf-8")
    found = decide(evidence(mask={3: 1000.0}), read_table(path))
    assert found is not None
    assert found.standing.count == 2


def test_a_clean_model_is_suspected_at_most_as_often_as_stated() -> None:
    """Models like those of the table, none of them in it."""
    rng = np.random.default_rng(1)

    def drawn(name: str) -> CleanModel:
        return clean(name, mask=rng.exponential(0.2, 10).max(), shift=abs(rng.normal(0, 0.1)))

    table = fit_table([drawn(f"m{i}") for i in range(99)], TEXTS)
    null = table.null(["shift", "mask"])
    p = [
        null.standing(max(
            float(table.scales[kind].strength(np.array(drop), tried))
            for kind, (drop, tried) in one.drops.items()
        )).p
        for one in (drawn(str(i)) for i in range(2000))
    ]  # fmt: skip
    for level in (0.02, 0.1, 0.5):
        assert np.mean(np.array(p) <= level) < level + 0.03


def test_a_working_trigger_far_smaller_than_the_others_is_suspected(table: CleanModels) -> None:
    found = decide(evidence(shift={3: 1.1}, mask={3: 9.0}, additive={5: 1.2}), table)
    assert found is not None
    assert found.suspected == (3,)
    assert (found.standing.count, found.standing.models) == (0, 60)
    assert found.standing.p == found.standing.least == pytest.approx(1 / 61)
    assert [one.detector.name for one in found.kinds] == ["mask", "shift", "additive"]
    assert found.kinds[0].standing.count == 0
    assert (found.kinds[0].source, found.kinds[0].has_no_pair) == (-1, False)
    assert found.kinds[0].factor(3) == pytest.approx(9)
    assert found.kinds[0].works(3)
    assert not found.kinds[0].works(4)
    assert found.suspected_by("mask") == (3,)
    assert found.suspected_by("shift") == (3,), "it stands lowest there, too, if not by much"
    assert found.suspected_by("additive") == ()


def test_several_targets_are_all_suspected(table: CleanModels) -> None:
    found = decide(evidence(shift={3: 1.1}, mask={3: 9.0, 7: 12.0}, additive={7: 3.0}), table)
    assert found is not None
    assert found.suspected == (7, 3)


def test_each_suspect_has_a_standing_of_its_own() -> None:
    """The strongest class is one of the embedding alone; the suspect has as much as one model."""
    models = [clean(f"m{i}", shift=0.3 * i / 99, mask=i / 99) for i in range(99)]
    models.append(clean("strange", shift=0.1, mask=2.3))
    found = decide(evidence(shift={3: 20.0}, mask={6: 9.0}), fit_table(models, TEXTS))
    assert found is not None
    assert (found.index, found.suspected) == (3, (6,))
    assert (found.standing.count, [one.count for one in found.standings]) == (0, [1])


def test_what_was_measured_in_another_way_is_not_compared(table: CleanModels) -> None:
    found = evidence(shift={3: 1.1}, mask={3: 9.0}, additive={5: 1.2})
    scores = found[0][1].scores

    def judged(*texts: str) -> list[str] | None:
        kinds = [(DETECTORS.parse(one), Evidence(one, scores)) for one in texts]
        verdict = decide(kinds, table)
        return None if verdict is None else sorted(one.detector.name for one in verdict.kinds)

    assert judged("shift:alpha=0.1,solver=adam", "mask:budget=9") == ["mask", "shift"]
    assert judged("shift:alpha=0.2", "mask") == ["mask"]
    assert judged("shift", "mask:images=8") is None
    newer = fit_table(table.models, {**TEXTS, "mask": "mask:later=1"})
    assert decide(found, newer) is not None, "settings of a newer version are left out"


def test_one_kind_alone_makes_a_class_rare(table: CleanModels) -> None:
    """As with the norms of another network that fits the weights."""
    [(shift, usual)] = evidence(shift={3: 1.1})
    assert rare_by(shift, usual, table) == ()
    [(_, far)] = evidence(shift={3: 9.0, 5: 12.0})
    assert rare_by(shift, far, table) == (5, 3)
    [(other, _)] = evidence(**{"shift:alpha=0.5": {}})
    assert rare_by(other, far, table) == (), "measured in another way"
    [(unknown, far)] = evidence(warp={3: 9.0})
    assert rare_by(unknown, far, table) == ()


def test_strength_alone_suspects_nothing(table: CleanModels) -> None:
    """The embedding alone, however strong; until a kind of another nature agrees."""
    alone = decide(evidence(shift={3: 2.5}, mask={6: 1.5}, additive={5: 1.2}), table)
    assert alone is not None
    assert (alone.index, alone.suspected, alone.is_unusual, alone.borne_out) == (3, (), True, False)
    agreed = decide(evidence(shift={3: 2.5}, mask={3: 2.9}, additive={5: 1.2}), table)
    assert agreed is not None
    assert (agreed.suspected, agreed.borne_out) == ((3,), True)


def test_a_kind_that_the_table_does_not_have_may_bear_out(table: CleanModels) -> None:
    """A witness: it makes no class unusual, but is enough where the embedding alone is not."""
    open_ = evidence(shift={3: 2.5}, mask={6: 1.5}, additive={5: 1.2})
    alone = decide(open_, table)
    assert alone is not None
    assert (alone.witnesses, alone.alone, alone.unusual) == ((), (3,), (3,))
    for factor, suspected in ((3.01, (3,)), (2.99, ())):
        found = decide([*open_, *evidence(warp={3: factor})], table)
        assert found is not None
        assert (found.suspected, found.borne_out) == (suspected, bool(suspected))
        assert (found.suspected_by("warp"), found.suspected_by("mask")) == (suspected, ())
        assert found.alone == tuple({3} - {*suspected})
        assert [one.detector.name for one in found.kinds] == ["shift", "mask", "additive"]
        assert found.standing == alone.standing
    unusual = evidence(shift={3: 1.1}, mask={6: 1.5}, additive={5: 1.2}, warp={3: 100.0})
    nothing = decide(unusual, table)
    assert nothing is not None
    assert (nothing.suspected, nothing.unusual, nothing.alone) == ((), (), ())


def test_a_witness_bears_out_no_natural_trigger_and_no_other_class(table: CleanModels) -> None:
    open_ = evidence(shift={3: 2.5}, mask={6: 1.5}, additive={5: 1.2})
    [(detector, bent)] = evidence(warp={3: 100.0})
    sizes, pictures = np.ones((10, 3)), np.zeros((10, 3, 2, 2), np.uint8)
    natural = np.where(np.arange(10) == 3, 0.5, np.nan)
    record = InvertedChanges(sizes, np.ones(10), pictures, pictures[:, 0], natural)
    for given in ([(detector, replace(bent, record=record))], evidence(warp={4: 100.0})):
        found = decide([*open_, *given], table)
        assert found is not None
        assert (found.suspected, found.alone) == ((), (3,))


def test_kinds_of_two_natures_agree_from_the_usual_excess_on() -> None:
    """A strength of 1 is enough, and no more is needed."""
    models = tuple(clean(f"m{i}", shift=0.1, mask=0.1) for i in range(60))
    scales = {kind: StrengthScale(kind, 0.0, 1.0, 60) for kind in ("shift", "mask")}
    for excess, suspected in ((1.0, (3,)), (0.999, ())):
        given = evidence(shift={3: math.e}, mask={3: math.exp(excess), 6: 1.1})
        found = decide(given, CleanModels(scales, models))
        assert found is not None
        assert found.kinds[0].strengths[3] == 1
        assert (found.suspected, found.suspected_by("mask")) == (suspected, suspected)


def test_what_speaks_against_a_suspect_need_not_be_lowest_there() -> None:
    models = tuple(clean(f"m{i}", mask=0.1, additive=0.1) for i in range(60))
    scales = {kind: StrengthScale(kind, 0.0, 1.0, 60) for kind in ("mask", "additive")}
    given = evidence(mask={3: 9.0}, additive={3: math.e, 6: 2.9})
    found = decide(given, CleanModels(scales, models))
    assert found is not None
    assert found.suspected == (3,)
    assert found.kinds[1].index == 6
    assert found.suspected_by("additive") == (3,)


def test_what_few_clean_models_have_is_unusual_and_not_suspected(table: CleanModels) -> None:
    found = decide(evidence(shift={3: 1.1}, mask={6: 2.65}, additive={5: 1.4}), table)
    assert found is not None
    assert found.limit < found.standing.p <= UNSURE_P
    assert (found.unusual, found.suspected, found.is_unusual) == ((6,), (), True)


def test_what_clean_models_have_is_nothing_unusual(table: CleanModels) -> None:
    found = decide(evidence(shift={3: 1.1}, mask={6: 1.8}, additive={5: 1.4}), table)
    assert found is not None
    assert not found.is_unusual
    assert found.suspected == ()
    assert found.standing.p > 0.1


def test_it_takes_a_search_in_the_images_that_the_table_knows(table: CleanModels) -> None:
    assert decide(evidence(shift={3: 9.0}), table) is None
    assert decide(evidence(shift={3: 9.0}, warp={3: 9.0}), table) is None
    found = decide(evidence(shift={3: 9.0}, mask={3: 1.1}, warp={3: 9.0}), table)
    assert found is not None
    assert [one.detector.name for one in found.kinds] == ["shift", "mask"]


def test_a_few_clean_models_are_not_enough() -> None:
    strange = evidence(shift={3: 9.0}, mask={3: 9.0})
    for count, enough in ((8, False), (9, True)):
        models = [clean(f"m{i}", shift=0.1, mask=i / 20) for i in range(count)]
        found = decide(strange, fit_table(models, TEXTS))
        assert (found is not None) == enough
        if found is not None:  # no p is smaller than 0.1
            assert (found.limit, found.unusual, found.suspected) == (0.1, (3,), (3,))


def test_models_that_lack_a_kind_are_not_compared_with() -> None:
    models = [clean(f"m{i}", mask=i / 20) for i in range(20)]
    models += [clean(f"n{i}", mask=1.5, shift=0.1) for i in range(100)]
    table = fit_table(models, TEXTS)
    assert list(table.scales) == ["shift", "mask"]
    assert table.scales["shift"].models == 100
    assert fit_table(models[:40], TEXTS).scales.keys() == {"mask"}  # too few have the norms
    assert table.null(["shift", "mask"]).standing(0.0).models == 100


def test_classes_out_of_reach_and_not_tried(table: CleanModels) -> None:
    scores = np.full(10, np.inf)
    scores[[2, 3]] = np.nan, 4.0
    mask = DETECTORS.parse("mask")
    found = decide([(mask, Evidence("mask", scores))], table)
    assert found is not None
    assert found.suspected == (3,)
    assert found.kinds[0].factor(3) == math.inf
    assert found.kinds[0].reaches
    assert found.kinds[0].reaches_one
    none = decide([(mask, Evidence("mask", np.full(10, np.inf)))], table)
    assert none is not None
    assert (none.is_unusual, none.suspected) == (False, ())
    assert (none.kinds[0].reaches, none.kinds[0].reaches_one) == (False, False)


def test_numbers_that_no_search_gives_do_no_harm(table: CleanModels) -> None:
    """Of a file that anyone may have made, or of a class that needs no change at all."""
    for least in (1e-300, 0.0):
        scores = np.full(10, 1e300)
        scores[[3, 5]] = least, np.inf
        found = decide([(DETECTORS.parse("mask"), Evidence("mask", scores))], table)
        assert found is not None
        kind = found.kinds[0]
        assert (kind.index, kind.factor(3), kind.reaches_one) == (3, math.inf, False)


def test_what_a_class_carries_by_nature_does_not_count(table: CleanModels) -> None:
    found = evidence(shift={3: 1.1}, mask={3: 9.0, 6: 1.5}, additive={5: 1.2})
    natural = np.full(10, np.nan)
    natural[[3, 4, 6]] = 0.4, 0.2, 0.1
    empty = np.zeros((10, 3, 1, 1), np.uint8)
    record = InvertedChanges(np.ones((10, 3)), np.ones(10), empty, empty[:, 0], natural)
    found[1] = found[1][0], replace(found[1][1], record=record)
    verdict = decide(found, table)
    assert verdict is not None
    assert (verdict.suspected, verdict.is_unusual) == ((), False)
    mask = next(one for one in verdict.kinds if one.detector.name == "mask")
    assert mask.natural == ((3, 0.4), (4, 0.2))
    assert mask.index == 6
    scores = np.full(10, np.inf)
    scores[3] = 4.0
    found[1] = found[1][0], replace(found[1][1], scores=scores)
    verdict = decide(found, table)
    assert verdict is not None
    assert not next(one for one in verdict.kinds if one.detector.name == "mask").reaches


@pytest.mark.parametrize(
    ("source", "factor", "lacks"),
    [(0, 1.5, False), (7, 9.0, False), (0, 1.0, True), (-1, 9.0, True)],
)
def test_a_pair_needs_less_than_its_controls(source: int, factor: float, lacks: bool) -> None:
    models = [CleanModel(f"m{i}", f"m{i}", "cnn", 10, {"pair-mask": (0.1, 10)}) for i in range(60)]
    scales = {"pair-mask": StrengthScale("pair-mask", 0.0, 1.0, 60)}
    table = CleanModels(scales, tuple(models))
    [(detector, found)] = evidence(**{"pair-mask": {3: factor}})
    empty, sources = np.zeros((10, 3, 1, 1), np.uint8), np.full(10, -1)
    sources[3 if factor > 1 else 0] = source
    record = PairChanges(
        np.ones((10, 3)), np.ones(10), empty, empty[:, 0], sources=sources,
        pairs=np.zeros((0, 2), np.int64), pair_sizes=np.zeros((0, 2)),
    )  # fmt: skip
    verdict = decide([(detector, replace(found, record=record))], table)
    assert verdict is not None
    assert (verdict.kinds[0].source, verdict.kinds[0].has_no_pair) == (source, lacks)


def test_a_reference_takes_off_what_it_has(table: CleanModels) -> None:
    given = evidence(shift={3: 1.1}, mask={3: 9.0, 6: 1.5})
    explained = np.zeros(10)
    explained[3] = math.log(6)
    found = decide(given, table, {"mask": explained})
    assert found is not None
    mask = next(one for one in found.kinds if one.detector.name == "mask")
    assert mask.factor(3) == pytest.approx(9)
    assert mask.of_reference(3) == pytest.approx(6)
    assert mask.drops[3] == pytest.approx(math.log(1.5), abs=1e-4)
    assert not mask.works(3), "the reference's own is no evidence"
    assert (found.suspected, found.is_unusual) == ((), False)


@pytest.mark.parametrize("seed", range(20))
def test_a_reference_never_makes_a_class_more_suspicious(table: CleanModels, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, other = rng.lognormal(size=(2, 10))
    scores[rng.integers(10)], other[rng.integers(10)] = rng.choice([np.inf, np.nan, 0.0], 2)
    mask = DETECTORS.parse("mask")
    found = [(mask, Evidence("mask", scores))]
    alone = decide(found, table)
    beside = decide(found, table, {"mask": explained_drops(mask, Evidence("mask", other))})
    assert alone is not None
    assert beside is not None
    assert (beside.kinds[0].strengths <= alone.kinds[0].strengths + 1e-9).all()
    assert beside.standing.p >= alone.standing.p
    assert set(beside.suspected) <= set(alone.suspected)
    itself = decide(found, table, {"mask": explained_drops(*found[0])})
    assert itself is not None
    assert not itself.suspected


def test_a_class_that_only_one_model_reaches(table: CleanModels) -> None:
    scores = np.full(10, np.inf)
    scores[3] = 4.0
    mask = DETECTORS.parse("mask")
    found = [(mask, Evidence("mask", scores))]
    for others, suspected in ((np.full(10, 5.0), (3,)), (scores, ())):
        explained = explained_drops(mask, Evidence("mask", others))
        verdict = decide(found, table, {"mask": explained})
        assert verdict is not None
        assert verdict.suspected == suspected
