"""Recovered triggers in an audit: kept in its file, checked when read, and what they mean."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from audit_files import change, description, same
from matrix import MATRIX
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery, with_tac
from bdshift.audit.facts import RecoveredTrigger
from bdshift.audit.recovered import compared, fact_of
from bdshift.errors import InputError
from bdshift.outputs import Output
from bdshift.recovery.drop import MIN_FACTOR, MIN_FACTOR_OF_PAIR
from bdshift.recovery.recovery import SizeOf
from bdshift.store import load_audit, save_audit, save_merged
from bdshift.words import Sentence

CONTROL = {"target": 0, "sizes": [1.0, 2.0, 3.0], "asr": 0.5}


@pytest.fixture
def audit(measured_audit: Audit) -> Audit:
    """With two recoveries, and no known trigger."""
    first = made_recovery(measured_audit)
    second = made_recovery(measured_audit, target=3, source=2, control=float("inf"))
    return with_recovery(with_recovery(replace(measured_audit, tac=()), first), second)


@pytest.fixture
def path(audit: Audit, tmp_path: Path) -> Path:
    """That audit in a file."""
    save_audit(audit, tmp_path / "a.h5")
    return tmp_path / "a.h5"


# In an audit


def test_one_of_the_same_class_source_and_kind_is_replaced(audit: Audit) -> None:
    first, second = audit.recoveries
    again = replace(first, seed=7)
    assert with_recovery(audit, again).recoveries == (second, again)
    other = replace(first, source=4)
    assert with_recovery(audit, other).recoveries == (first, second, other)


def test_a_known_trigger_comes_first(audit: Audit, measured_audit: Audit) -> None:
    [recovered] = [one.tac for one in audit.recoveries if one.target == 9]
    [known] = measured_audit.tac
    assert audit.tac_of(9) is recovered
    assert audit.recovery_of(recovered) is audit.recoveries[0]
    both = replace(audit, tac=(known,))
    assert both.tac_of(9) is known
    assert both.recovery_of(known) is None
    assert both.tac_of(9, recovered.trigger) is recovered
    assert audit.tac_of(5) is None


# In a file


def test_what_goes_in_comes_out(audit: Audit, path: Path) -> None:
    found = load_audit(path)
    same(audit.finding, found.finding)
    for one, other in zip(audit.recoveries, found.recoveries, strict=True):
        assert one.tac.triggered is not None
        assert other.tac.triggered is not None
        assert np.array_equal(one.tac.triggered.phi, other.tac.triggered.phi)
        same(replace(one, tac=replace(one.tac, triggered=None)),
             replace(other, tac=replace(other.tac, triggered=None)))  # fmt: skip
    assert found.recoveries[1].attempt.control_size(0.8) == math.inf
    assert found.recoveries[1].drop == math.inf
    save_audit(found, path, embeddings=False)
    small = load_audit(path)
    assert small.recoveries[0].tac.triggered is None
    assert torch.equal(small.recoveries[0].params["mask"], audit.recoveries[0].params["mask"])


def test_what_is_unknown_is_kept(audit: Audit, path: Path) -> None:
    change(path, "recoveries", 1, "of_tomorrow", value=[1, {"a": None}])
    with h5py.File(path, "r+") as file:
        file["recoveries/1/more"] = np.arange(3.0)
    found = load_audit(path)
    save_audit(with_recovery(found, replace(audit.recoveries[0], seed=3)), path)
    assert description(path)["recoveries"][0]["of_tomorrow"] == [1, {"a": None}]
    assert load_audit(path).recoveries[0].target == 3


def test_a_kind_that_this_version_does_not_know_still_counts(path: Path) -> None:
    for way in (("kind",), ("attempts", 1, "kind")):
        change(path, "recoveries", 0, *way, value="of-tomorrow:x=1")
    found = load_audit(path)
    [known] = [one for one in found.recoveries if one.is_known]
    assert known.target == 3
    assert found.recoveries[0].label == "of-tomorrow:x=1"
    assert "recovered-confirms" in [one.code for one in found.finding.reasons]
    save_audit(found, path)
    assert load_audit(path).recoveries[0].kind == "of-tomorrow:x=1"


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("target",), 4), (("source",), 12), (("source",), -2), (("kind",), "additive"),
        (("kind",), "mask:nothing"), (("kind",), "frequency-of-tomorrow"), (("side",), 31),
        (("side",), 10**9), (("asr",), 1.5), (("asr",), None), (("images",), -1),
        (("attempts",), []), (("attempts", 0, "controls"), [CONTROL] * 12),
        (("attempts", 0, "target", "sizes"), [1.0]),
        (("attempts", 0, "target", "sizes"), [0.0, 1.0, 2.0]),
        (("attempts", 0, "controls", 0, "target"), 99), (("attempts", 0, "target", "target"), 3),
        (("reverse",), CONTROL), (("elsewhere",), 1.5), (("beside",), [0]), (("beside",), [0, 9]),
        (("beside",), [0, 1, 2]),
        (("params",), ["mask"]), (("params",), ["mask", "pattern", "more"]),
        (("params",), ["pattern", "mask"]), (("params",), [1, 2]), (("tac",), None),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(path: Path, way: tuple[Any, ...], value: Any) -> None:
    change(path, "recoveries", 0, *way, value=value)
    with pytest.raises(InputError, match=r"a\.h5: "):
        load_audit(path)


@pytest.mark.parametrize("place", ["recoveries/0/params/0", "recoveries/0/beside/0"])
@pytest.mark.parametrize(
    "values",
    [np.zeros((1, 32, 32), np.float64), np.zeros((1, 31, 32), np.float32),
     np.full((1, 32, 32), np.nan, np.float32), np.float32(3)],
)  # fmt: skip
def test_other_numbers_are_refused(path: Path, values: Any, place: str) -> None:
    with h5py.File(path, "r+") as file:
        del file[place]
        file[place] = values
    with pytest.raises(InputError, match=r"a\.h5: "):
        load_audit(path)


def test_a_bomb_is_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["recoveries/0/params/0"]
        file.create_dataset("recoveries/0/params/0", (1, 100_000, 100_000), "f4", chunks=(1, 8, 8))
    with pytest.raises(InputError, match="more than the file can hold"):
        load_audit(path)


def test_what_others_recovered_meanwhile_is_kept(audit: Audit, path: Path) -> None:
    mine = replace(audit, recoveries=(replace(audit.recoveries[0], seed=5),))
    merged = save_merged(mine, Output(path, overwrite=True))
    assert [(one.target, one.seed) for one in merged.recoveries] == [(9, 5), (3, 0)]
    assert [one.target for one in load_audit(path).recoveries] == [9, 3]


# What they mean


def recovered(asr: float = 0.9, size: float = 10.0, control: float = 100.0) -> RecoveredTrigger:
    return RecoveredTrigger(Sentence("Mask and pattern"), 9, -1, asr, 100, size, control)


def test_what_counts_as_evidence() -> None:
    assert recovered().confirms
    assert recovered(control=10 * MIN_FACTOR).confirms
    assert recovered(control=math.inf).confirms
    assert not recovered(control=29.9).confirms
    assert not recovered(asr=0.79).confirms
    assert not recovered(size=math.inf, control=math.inf).confirms
    assert not recovered(control=math.nan).confirms, "there was nothing to compare it with"


def test_a_single_source_is_compared_with_the_other_way() -> None:
    enough = 10 * MIN_FACTOR_OF_PAIR
    one = replace(recovered(), source=2, control=enough, reverse=enough, elsewhere=1.0)
    assert one.confirms, "a backdoor that works for other classes, too, is one"
    assert replace(one, reverse=math.inf).confirms
    assert not replace(one, reverse=49.9).confirms, "the classes may be alike"
    assert not replace(one, reverse=math.nan).confirms, "nobody knows"
    assert not replace(one, control=49.9).confirms, "there are more pairs than classes"
    assert replace(one, source=-1, control=49.9, reverse=math.nan).confirms


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "The other way, from “no_entry” to “keep_left”, it takes 128: 8.00 times as much. On "
             "images of the other classes it reaches 12.0%: it works for “keep_left” alone."),
        ({"back": 20.0}, "it takes 20: 1.25 times as much."),
        ({"back": math.inf}, "The other way, from “no_entry” to “keep_left”, none was found."),
        ({"reverse": None}, "The other way, from “no_entry” to “keep_left”, was not tried."),
        ({"elsewhere": 0.9}, "it reaches 90.0%: it works not only for “keep_left”."),
        ({"elsewhere": 0.5}, "it reaches 50.0%."),
        ({"elsewhere": math.nan}, "8.00 times as much."),
        ({"size": math.inf}, "reaches 80%. On images"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_single_source(
    measured_audit: Audit, changed: dict[str, Any], words: str
) -> None:
    one = made_recovery(measured_audit, target=4, source=2, **changed)
    names = measured_audit.images.class_names
    assert (names[2], names[4]) == ("keep_left", "no_entry")
    said = compared(fact_of(one), names)
    assert words in str(said)
    assert ("On images of the other classes" in str(said)) is not math.isnan(one.elsewhere)
    assert "{" not in said.render("ja")
    of_all = replace(one, source=-1, reverse=None, elsewhere=math.nan)
    assert "other way" not in str(compared(fact_of(of_all), names))


def case(name: str, audit: Audit) -> Audit:
    return MATRIX[name][0](audit)


def test_it_confirms_a_suspected_class(measured_audit: Audit) -> None:
    found = with_recovery(measured_audit, made_recovery(measured_audit)).finding
    assert found.level == "backdoored"
    assert [one.code for one in found.reasons] == [
        "shift-stands-out", "recovered-confirms", "trigger-works",
    ]  # fmt: skip
    said = found.reasons[1].sentence
    assert str(said) == (
        "Confirmed from the input: a trigger recovered for class 9 “speed_80” (Mask and pattern) "
        "sends 99.0% of 210 unused images of other classes there. To reach 80% takes a change of "
        "size 16 there, and 160 for control classes (median): 10.00 times as much."
    )
    assert said.render("ja") == (
        "入力側からも裏付けられました：クラス 9「speed_80」について復元したトリガー"
        "（マスクとパターン）は、探索に使わなかった他クラスの画像 210 枚の 99.0% をこのクラスに"
        "誘導します。80% に達する変化の大きさは 16、対照クラスでは中央値 160（10.00 倍）です。"
    )


def test_it_makes_a_class_suspected_that_no_detector_saw(measured_audit: Audit) -> None:
    quiet = case("nothing unusual", measured_audit)
    assert quiet.finding.level == "nothing-unusual"
    one = made_recovery(measured_audit, target=4, source=2, control=math.inf)
    found = with_recovery(quiet, one).finding
    assert (found.level, found.classes) == ("backdoored", (4,))
    assert [one.code for one in found.reasons] == ["recovered-backdoor", "shift-none-stands-out"]
    names = measured_audit.images.class_names
    said = str(found.reasons[0].sentence)
    assert f"images of class “{names[2]}” there." in said
    assert "for the control classes none was found. The other way, from “" in said
    doubtful = with_recovery(case("poor accuracy, none flagged", measured_audit), one).finding
    assert (doubtful.level, doubtful.classes) == ("inconclusive", (4,))
    few = case("an unflagged trigger works", measured_audit)
    assert few.finding.level == "inconclusive"
    agreed = with_recovery(few, made_recovery(measured_audit)).finding
    assert agreed.level == "backdoored", (
        "the trigger that was measured is no contradiction any more"
    )


def test_evidence_for_another_class_is_a_disagreement(measured_audit: Audit) -> None:
    other = made_recovery(measured_audit, target=4)
    found = with_recovery(measured_audit, other).finding
    assert (found.level, found.classes) == ("inconclusive", (9, 4))
    assert [one.code for one in found.reasons] == [
        "detectors-disagree", "shift-stands-out", "recovered-backdoor", "trigger-works",
    ]  # fmt: skip
    name = measured_audit.images.class_names[4]
    assert f"Recovered trigger suspects “{name}”" in str(found.reasons[0].sentence)
    both = with_recovery(with_recovery(measured_audit, other), made_recovery(measured_audit))
    assert both.finding.level == "backdoored", "one class is suspected by both"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"control": 47.0}, "size 16 there, and 47 for control classes (median): 2.94 times"),
        ({"asr": 0.5}, "sends 50.0% of 210"),
        ({"size": math.inf}, "No change of this kind was found that reaches 80%."),
    ],
)
def test_what_does_not_confirm_is_a_caution(
    measured_audit: Audit, changed: dict[str, float], words: str
) -> None:
    found = with_recovery(measured_audit, made_recovery(measured_audit, **changed)).finding
    assert (found.level, found.classes) == ("backdoored", (9,)), "it does not clear the class"
    [caution] = [one for one in found.cautions if one.code == "recovered-does-not-confirm"]
    assert words in str(caution.sentence)
    assert "疑いを裏付けません" in caution.sentence.render("ja")
    better = made_recovery(measured_audit, source=2)
    both = with_recovery(with_recovery(measured_audit, made_recovery(measured_audit, **changed)),
                         better)  # fmt: skip
    assert not any(one.code == "recovered-does-not-confirm" for one in both.finding.cautions)


def test_controls_that_were_not_reached_are_larger_than_those_that_were(
    measured_audit: Audit,
) -> None:
    found = made_recovery(measured_audit)
    first, *others = found.attempt.controls
    never = tuple(replace(one, sizes=(math.inf,) * 3) for one in others)
    partly = replace(found.attempt, controls=(first, *never))
    one = replace(found, attempts=(found.attempts[0], partly))
    assert not partly.most_reached
    assert partly.drop == found.drop == pytest.approx(math.log(10))
    said = str(compared(fact_of(one), measured_audit.images.class_names))
    assert "at least 160 for control classes, most of which were not reached: 10.00 times" in said


def test_the_controls_that_are_kept_are_the_typical_ones(measured_audit: Audit) -> None:
    won = made_recovery(measured_audit).attempt
    sizes = {4: 160.0, 5: math.inf, 6: 10.0, 7: 200.0, 8: 150.0}
    controls = tuple(SizeOf(one, (1.0, size, math.inf), 0.9) for one, size in sizes.items())
    assert replace(won, controls=controls).typical_controls(4) == (4, 8, 7, 6)
    never = tuple(SizeOf(one, (math.inf,) * 3, 0.0) for one in (8, 4))
    assert replace(won, controls=never).typical_controls(3) == (4, 8)
    assert replace(won, controls=()).typical_controls(3) == ()


def test_a_recovered_trigger_that_was_measured_is_not_a_known_one(measured_audit: Audit) -> None:
    """As `bdshift neurons --trigger` and a purification measure it."""
    quiet, [known] = case("nothing unusual", measured_audit), measured_audit.tac
    recovered_one = replace(known, trigger=made_recovery(measured_audit).tac.trigger)
    assert recovered_one.asr > 0.9
    assert with_tac(quiet, recovered_one).finding == quiet.finding
    assert with_tac(quiet, known).finding.level == "inconclusive"


def test_a_class_that_can_be_reached_is_no_evidence(measured_audit: Audit) -> None:
    quiet = case("nothing unusual", measured_audit)
    found = with_recovery(quiet, made_recovery(measured_audit, control=40.0)).finding
    assert found == replace(quiet.finding, cautions=())  # but that there was a search
