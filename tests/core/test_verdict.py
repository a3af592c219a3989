"""The verdict: evidence beside that of clean models."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bdshift.assets import asset
from bdshift.detect.detector import DETECTORS, Detector, Evidence
from bdshift.detect.inversion import InvertedChanges
from bdshift.detect.pair_inversion import PairChanges
from bdshift.verdict.beyond import explained_drops
from bdshift.verdict.calibration import (
    ROUND_LEVELS,
    Calibration,
    calibrated,
    count_up_to,
    share_curve,
)
from bdshift.verdict.clean_models import (
    TABLE,
    CleanModel,
    CleanModels,
    StageFigures,
    fit_table,
    read_table,
    shipped_table,
    table_text,
)
from bdshift.verdict.decide import UNSURE_P, decide
from bdshift.verdict.strength import StrengthScale, capped, fit_scale

TEXTS = {"shift": "shift:alpha=0.1,solver=exact", "mask": "mask", "additive": "additive"}


def clean(name: str, cluster: str = "", **drops: float) -> CleanModel:
    found = {kind: (drop, 10) for kind, drop in drops.items()}
    return CleanModel(name, cluster or name, "cnn", 10, found)


@pytest.fixture
def table() -> CleanModels:
    """Sixty clean models, whose drops are spread evenly up to 0.3, 1 and 0.5."""
    models = [
        clean(f"m{i}", shift=0.3 * i / 60, mask=i / 60, additive=0.5 * (60 - i) / 60)
        for i in range(60)
    ]
    return fit_table(models, TEXTS)


def evidence(**lowest: Mapping[int, float]) -> list[tuple[Detector, Evidence]]:
    """Scores of ten classes: 100, but divided by the given factors."""
    found = []
    for name, factors in lowest.items():
        scores = np.full(10, 100.0)
        for index, factor in factors.items():
            scores[index] /= factor
        detector = DETECTORS.parse(name)
        found.append((detector, Evidence(detector.spec, scores)))
    return found


def test_a_scale_is_made_of_the_upper_quarter() -> None:
    drops = np.array([0.1, 0.2, 0.3, 0.9, 0.15, 0.25, 0.5, 0.05])
    scale = fit_scale("mask", drops, np.ones(8))
    assert (scale.start, scale.models) == (0.3, 8)
    assert math.isclose(scale.scale, (0.6 + 0.2) / 2)
    assert float(scale.strength(np.array(0.7), 10)) == pytest.approx(1.0)
    # seven relatives count as one: with two clusters, the upper quarter is the other one
    weights = np.array([1 / 7] * 3 + [1.0] + [1 / 7] * 4)
    assert fit_scale("mask", drops, weights).start == 0.9
    assert fit_scale("warp", np.zeros(8), np.ones(8)).scale == 0.05


def test_classes_do_not_raise_alarms_by_their_number() -> None:
    scale = StrengthScale("mask", 0.5, 0.2, 8)
    few, ten, many = (float(scale.strength(np.array(1.0), count)) for count in (4, 10, 1000))
    assert few == ten
    assert many == pytest.approx(ten - math.log(100))


def test_the_largest_of_many_clean_classes_is_no_stronger() -> None:
    """Models of 10 and of 1000 classes whose drops fall off exponentially."""
    rng = np.random.default_rng(0)
    largest = {count: rng.exponential(0.2, (4000, count)).max(1) for count in (10, 1000)}
    scale = fit_scale("mask", largest[10], np.ones(4000))
    strengths = {count: scale.strength(drops, count) for count, drops in largest.items()}
    for share in (0.5, 0.9, 0.98):
        low, high = (np.quantile(one, share) for one in strengths.values())
        assert abs(low - high) < 0.5


def test_what_is_not_known_or_endless_is_capped() -> None:
    found = capped(np.array([np.nan, -np.inf, -1.0, 0.5, np.inf]))
    assert found.tolist() == [0, 0, 0, 0.5, 2.9957]


def test_the_most_evidence_ties_with_as_much_of_a_clean_model_in_a_file(tmp_path: Path) -> None:
    cap = float(capped(np.array([np.inf]))[0])
    models = [clean(f"m{i}", mask=cap if i < 2 else i / 100) for i in range(40)]
    path = tmp_path / "table.json"
    path.write_text(table_text(fit_table(models, TEXTS)), encoding="utf-8")
    found = decide(evidence(mask={3: 1000.0}), read_table(path))
    assert found is not None
    assert found.standing.count == 2


def test_p_is_the_share_of_clean_models_and_relatives_count_as_one() -> None:
    models = [clean("a", "x", mask=0.9), clean("b", "x", mask=0.1), clean("c", mask=0.8),
              clean("d", mask=0.2), clean("e", shift=0.1)]  # fmt: skip
    table = CleanModels({"mask": StrengthScale("mask", 0.0, 1.0, 4)}, tuple(models))
    null = table.null(["mask"])
    found = null.standing(0.5)
    assert (found.count, found.models) == (2, 4)
    assert found.p == pytest.approx((1 + 1.5) / (1 + 3))
    assert null.standing(2.0).p == found.least == 0.25
    assert null.standing(0.8).count == 2  # as strong counts


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


def test_strength_alone_suspects_nothing(table: CleanModels) -> None:
    """The embedding alone, however strong; until a kind of another nature agrees."""
    alone = decide(evidence(shift={3: 2.5}, mask={6: 1.5}, additive={5: 1.2}), table)
    assert alone is not None
    assert (alone.index, alone.suspected, alone.rare, alone.borne_out) == (3, (), True, False)
    agreed = decide(evidence(shift={3: 2.5}, mask={3: 2.9}, additive={5: 1.2}), table)
    assert agreed is not None
    assert (agreed.suspected, agreed.borne_out) == ((3,), True)


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
    assert (found.unusual, found.suspected, found.rare) == ((6,), (), True)


def test_what_clean_models_have_is_nothing_unusual(table: CleanModels) -> None:
    found = decide(evidence(shift={3: 1.1}, mask={6: 1.8}, additive={5: 1.4}), table)
    assert found is not None
    assert not found.rare
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
    assert (none.rare, none.suspected) == (False, ())
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
    assert (verdict.suspected, verdict.rare) == ((), False)
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


def test_the_table_is_text_and_back(table: CleanModels, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    figures = StageFigures(10, 5, 60, 1)
    known = Calibration((0.05, 0.5), (1.0,))
    whole = CleanModels(table.scales, table.models, {"command": "x"}, None, figures, known)
    path.write_text(table_text(whole), encoding="utf-8")
    found = read_table(path)
    assert (found.models, found.made) == (whole.models, whole.made)
    assert (found.first, found.both, found.calibration) == (None, figures, known)
    assert list(found.scales) == list(whole.scales)
    for kind, scale in found.scales.items():
        assert scale.scale == pytest.approx(whole.scales[kind].scale, abs=1e-6)


def test_how_right_p_is_is_kept_in_order_and_drawn_in_steps() -> None:
    found = calibrated([0.5, 0.02777, 0.1], [])
    assert found == Calibration((0.0278, 0.1, 0.5), ())
    assert [count_up_to(found.left_out, one) for one in (0.02, *ROUND_LEVELS, 1)] == [0, 1, 2, 3]
    curve = share_curve([0.5, 0.1])
    assert curve == [(0, 0), (0.1, 0), (0.1, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert share_curve([]) == [(0, 0), (1, 0)]


def test_the_table_that_ships_is_small_and_says_how_it_was_made() -> None:
    found = shipped_table()
    assert asset(TABLE).stat().st_size < 150_000
    assert found.made["command"].startswith("bdshift lab verdict ")
    assert {"shift", "mask"} <= found.scales.keys()
    assert found.first is not None
    assert found.both is not None
    assert found.both.clean == found.first.clean == len(found.models)
    assert found.both.named > found.first.named
    assert len(found.calibration.left_out) == found.both.clean
    assert 0 < found.calibration.left_out[0] <= ROUND_LEVELS[0], "too few to judge anything"


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
    assert (found.suspected, found.rare) == ((), False)


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
