"""The second stage of a scan: searches in the images, and what the finding makes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import bdshift, one_line
from made_verdicts import evidence, spread_table
from quick import shorten_searches

from bdshift.audit import Audit, ScanSettings, reopen, reopen_model, scan
from bdshift.audit.more_evidence import search_further
from bdshift.audit.second_stage import first_stage, second_stage, seconds_of_a_kind, witnesses
from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.detector import DETECTORS, Detector
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.detectors.warp import WarpInversion
from bdshift.detect.image_search import ImageSearch
from bdshift.devices import pace
from bdshift.errors import UsageError
from bdshift.recovery.effort import affordable_passes
from bdshift.store import load_audit
from bdshift.verdict.clean_models import shipped_table
from bdshift.verdict.decide import Verdict, decide

FIRST = (EmbeddingShift(),)
PRECISION = "float32"
FEW = "--sample", 120, "--normalize", "half"


@pytest.fixture
def network(victim_audit: Audit) -> Classifier:
    return reopen_model(victim_audit)


def test_a_budget_affords_kinds_in_their_order(network: Classifier) -> None:
    every = [one for one in DETECTORS if one in shipped_table().scales]
    kinds = [one for one in every if issubclass(DETECTORS[one], ImageSearch)]
    found = {
        seconds: [one.name for one in second_stage(network, seconds, PRECISION, FIRST)]
        for seconds in (0.1, 60.0, 10_000.0)
    }
    assert found[0.1] == ["shift", "pairs"]
    assert found[10_000.0] == ["shift", "pairs", *kinds]
    assert found[60.0] == found[10_000.0][: len(found[60.0])]
    assert len(found[60.0]) > 2


def test_a_gpu_affords_more_and_the_least_that_is_needed_is_said(network: Classifier) -> None:
    needed = seconds_of_a_kind(network, PRECISION, torch.device("cpu"))
    assert [one.name for one in second_stage(network, needed, PRECISION, FIRST)][-1] == "mask"
    assert len(second_stage(network, needed / 2, PRECISION, FIRST)) < 3
    assert pace(torch.device("cuda")) > 1 == pace(torch.device("cpu"))
    on_gpu = seconds_of_a_kind(network, PRECISION, torch.device("cuda"))
    assert needed / pace(torch.device("cuda")) == pytest.approx(on_gpu, abs=1)


def test_of_a_thousand_classes_the_least_is_a_search_for_some(
    network: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    few = seconds_of_a_kind(network, PRECISION, cpu)
    monkeypatch.setattr(Classifier, "classes", 1000)
    least = seconds_of_a_kind(network, PRECISION, cpu)
    assert least < few, "for 8 classes instead of 12"
    assert [one.name for one in second_stage(network, least, PRECISION, FIRST)][-1] == "mask"
    assert "mask" not in [one.name for one in second_stage(network, least / 2, PRECISION, FIRST)]


def test_what_takes_half_the_precision_takes_less_time(network: Classifier) -> None:
    cpu = torch.device("cpu")
    needed = [seconds_of_a_kind(network, one, cpu) for one in ("bfloat16", "float32")]
    assert needed[0] < needed[1]


def test_what_a_budget_affords_is_run_for_all_classes(network: Classifier) -> None:
    found = second_stage(network, 10_000.0, PRECISION, FIRST)
    for one in found[2:]:
        assert isinstance(one, ImageSearch)
        assert affordable_passes(network, one.budget, PRECISION) >= one.work(network.classes)


def test_pairs_of_many_classes_are_left_out(
    network: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand classes have a million pairs, which take minutes."""
    every = second_stage(network, 10_000.0, PRECISION, FIRST)
    monkeypatch.setattr(Classifier, "classes", 101)
    few = [one.name for one in second_stage(network, 1e6, PRECISION, FIRST)]
    assert few == [one.name for one in every if one.name not in ("pairs", "pair-mask")]


def test_what_was_asked_for_is_not_run_twice(network: Classifier) -> None:
    asked = (*FIRST, DETECTORS.parse("mask:images=40"))
    found = second_stage(network, 10_000.0, PRECISION, asked)
    assert found[:2] == asked
    assert [one.name for one in found].count("mask") == 1


def test_what_a_second_stage_adds_is_not_of_the_first(network: Classifier) -> None:
    asked = (*FIRST, DETECTORS.parse("pairs"), DETECTORS.parse("depth"))
    assert first_stage(second_stage(network, 10_000.0, PRECISION, asked)) == asked
    assert first_stage(second_stage(network, 10_000.0, PRECISION, FIRST)) == FIRST


def test_a_witness_is_asked_where_something_is_left_open(network: Classifier) -> None:
    open_ = decide(evidence(shift={3: 2.5}, mask={6: 1.5}, additive={5: 1.2}), spread_table())
    clear = decide(evidence(shift={3: 2.5}, mask={3: 9.0}, additive={5: 1.2}), spread_table())
    usual = decide(evidence(shift={3: 1.1}, mask={6: 1.5}, additive={5: 1.2}), spread_table())

    def asked(verdict: Verdict | None, seconds: float, *before: Detector) -> tuple[Detector, ...]:
        return witnesses(verdict, network, seconds, PRECISION, before)

    [warp] = asked(open_, 10_000.0)
    assert isinstance(warp, WarpInversion)
    enough = affordable_passes(network, warp.budget, PRECISION)
    assert enough >= warp.work(network.classes), "for all classes"
    assert warp.budget < 10_000, "and not more than that takes"
    assert asked(open_, 1e-3) == ()
    assert asked(open_, 10_000.0, *FIRST, WarpInversion()) == ()
    assert asked(clear, 10_000.0) == asked(usual, 10_000.0) == asked(None, 10_000.0) == ()
    assert first_stage((*FIRST, warp)) == FIRST


def test_a_budget_is_no_nonsense() -> None:
    for seconds in (-1.0, float("inf"), float("nan")):
        with pytest.raises(UsageError, match="budget"):
            ScanSettings(search=seconds)


def test_the_library_runs_the_first_stage(victim: Path, signs: Path) -> None:
    audit = scan(victim, signs, ScanSettings(sample=120, normalize="half"))
    assert [one.name for one in audit.evidence] == ["shift"]
    assert audit.verdict is None
    assert "second-stage-not-run" in {one.code for one in audit.finding.cautions}
    asked = audit.under(audit.settings.rule, by_rule=True)
    assert "second-stage-not-run" not in {one.code for one in asked.finding.cautions}


def test_the_command_searches(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    out = tmp_path / "a.h5"
    found = bdshift("scan", victim, signs, *FEW, "--json", "--out", out)
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert [one["detector"].partition(":")[0] for one in told["evidence"]][:3] == [
        "shift",
        "pairs",
        "mask",
    ]
    kinds = {one["detector"].partition(":")[0]: one for one in told["verdict"]["kinds"]}
    assert {"shift", "mask"} <= kinds.keys()
    assert kinds["shift"]["class"] == 9
    assert len(kinds["shift"]["strengths"]) == 12
    assert 0 < told["verdict"]["p"] <= 1
    kept = load_audit(out)
    assert kept.verdict is not None
    assert kept.verdict.standing.p == told["verdict"]["p"]
    assert "second-stage-not-run" not in {one.code for one in kept.finding.cautions}
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]  # no state is left


def test_what_is_left_open_is_asked_of_a_witness(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a scan, and in a search that follows one, as in the window."""
    shorten_searches(monkeypatch)

    def open_(verdict: Verdict | None, *given: Any) -> tuple[Detector, ...]:
        return witnesses(replace(verdict, alone=(9,)) if verdict else None, *given)

    monkeypatch.setattr("bdshift.audit.more_evidence.witnesses", open_)
    found = bdshift("scan", victim, signs, *FEW, "--json", "--out", tmp_path / "a.h5")
    told = json.loads(found.stdout)
    assert [one["detector"].partition(":")[0] for one in told["verdict"]["witnesses"]] == ["warp"]
    assert told["evidence"][-1]["detector"].startswith("warp")
    kept = load_audit(tmp_path / "a.h5")
    assert kept.settings.detectors[-1].name == "warp"
    said = [one.code for one in kept.finding.reasons]
    assert {"witness-bears-nothing-out", "witness-alone", "witness-bears-out"} & {*said}
    plain = scan(victim, signs, ScanSettings(sample=120, normalize="half"))
    further = search_further(plain, reopen(plain), 600.0)
    assert [one.name for one, _ in further][-1] == "warp"


@pytest.mark.parametrize(
    "given", [("--quick",), ("--rule", "grubbs"), ("--detector", "pairs"), ("--budget", "0.1")]
)
def test_when_it_does_not(victim: Path, signs: Path, given: tuple[str, ...]) -> None:
    found = bdshift("scan", victim, signs, *FEW, "--json", *given)
    told = json.loads(found.stdout)
    assert told["verdict"] is None
    assert not {one["detector"].partition(":")[0] for one in told["evidence"]} & {"mask"}
    assert ("too large to be searched" in found.stderr) == ("--budget" in given)


def test_a_rule_that_is_asked_for_decides(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    out = tmp_path / "a.h5"
    given = ("scan", victim, signs, *FEW, "--detector", "mask", "--out", out)
    assert bdshift(*given).exit_code == 0
    assert load_audit(out).verdict is not None
    assert bdshift(*given, "--rule", "grubbs", "--overwrite").exit_code == 0
    by_rule = load_audit(out)
    assert by_rule.verdict is None
    assert by_rule.settings.by_rule
    one_line(bdshift("scan", victim, signs, "--budget", -1), 2, "the budget must be")
