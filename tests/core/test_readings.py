"""What a model is under other preprocessings that the images do not rule out."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matrix import MATRIX

from bdshift.audit import Audit, ScanSettings, scan
from bdshift.audit.reference import with_reference
from bdshift.checkpoints import settle as settling
from bdshift.checkpoints.entrant import Entrant
from bdshift.checkpoints.preference import open_readings
from bdshift.detect.detector import DETECTORS
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.errors import InputError
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.jobs import Event, JobContext, JobPart
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.store import load_audit, save_audit

RAW = NORMALIZATIONS["raw-255"]
DOUBT, CAUTION = "preprocessings-disagree", "several-preprocessings-fit"


def under(audit: Audit, name: str, other: Audit) -> Audit:
    """``audit``, and the same model as in ``other`` under another normalization."""
    preprocessing = replace(audit.preprocessing, normalization=NORMALIZATIONS[name])
    trial = replace(audit.trials[0], preprocessing=preprocessing, accuracy=0.97)
    reading = replace(other, trials=(trial,), embedding=None, tac=(), accuracy=0.97)
    return replace(audit, readings=(*audit.readings, reading))


def made(audit: Audit, name: str) -> Audit:
    make, *_ = MATRIX[name]
    return make(audit)


@pytest.mark.parametrize(
    ("chosen", "other", "level", "doubt"),
    [
        ("backdoored", "backdoored", "backdoored", False),
        ("backdoored", "nothing unusual", "inconclusive", True),
        ("nothing unusual", "several", "inconclusive", True),
        ("nothing unusual", "nothing unusual", "nothing-unusual", False),
        # searched under both
        ("it stands out beside clean models", "it stands out beside clean models", "backdoored",
         False),
        ("it stands out beside clean models", "nothing stands out beside clean models",
         "inconclusive", True),
        ("it stands out beside clean models", "several stand out beside clean models",
         "inconclusive", True),
        ("nothing stands out beside clean models", "evidence of one kind alone", "inconclusive",
         True),
        # a trigger that was recovered under the chosen one alone
        ("only a recovered trigger stands out beside clean models",
         "nothing stands out beside clean models", "backdoored", False),
        # only the norms under the other: they do not decide
        ("nothing stands out beside clean models", "backdoored", "nothing-unusual", False),
        ("it stands out beside clean models", "nothing unusual", "backdoored", False),
    ],
)  # fmt: skip
def test_the_finding_must_not_hang_on_it(
    measured_audit: Audit, chosen: str, other: str, level: str, doubt: bool
) -> None:
    audit = under(made(measured_audit, chosen), "half", made(measured_audit, other))
    audit = replace(audit, tac=())
    codes = [one.code for one in audit.finding.reasons]
    assert (audit.finding.level, DOUBT in codes) == (level, doubt)
    assert CAUTION in {one.code for one in audit.finding.cautions}
    assert replace(audit, readings=()).finding.level != "inconclusive"


def test_a_doubt_that_holds_under_both_is_no_difference(measured_audit: Audit) -> None:
    """Too few images are too few under any preprocessing."""
    found = made(measured_audit, "nothing stands out beside clean models")
    few = replace(found.images, counts=(1,) * found.model.classes)
    audit = replace(found, images=few)
    audit = under(audit, "half", audit)
    codes = [one.code for one in audit.finding.reasons]
    assert "too-few-images" in codes
    assert DOUBT not in codes


def test_every_front_end_says_what_each_gives(measured_audit: Audit, tmp_path: Path) -> None:
    quiet = made(measured_audit, "nothing unusual")
    audit = under(measured_audit, "half", quiet)
    chosen = audit.preprocessing.normalization.name
    text = " ".join(audit_text(audit).split())
    assert f"Under “{chosen}, RGB”, what is suspected is “speed_80”; under “half, RGB”" in text
    assert "under half, RGB: 97.0% clean accuracy, by the norms alone: Nothing unusual" in text
    assert "half, RGB: 97.00%, Nothing unusual found" in html.unescape(html_report(audit))
    assert "「half, RGB」（97.0%）では疑われるものはない" in html.unescape(html_report(audit, "ja"))
    [told] = json.loads(json.dumps(audit_json(audit), allow_nan=False))["other_preprocessings"]
    assert (told["normalization"], told["clean_accuracy"]) == ("half", 0.97)
    assert told["finding"]["level"] == "nothing-unusual"
    save_audit(audit, tmp_path / "a.h5")
    found = load_audit(tmp_path / "a.h5")
    assert found.finding == audit.finding
    assert not found.unknown
    assert found.readings[0].trials == audit.readings[0].trials
    assert np.array_equal(found.readings[0].shifts.shift, quiet.shifts.shift)


def test_a_search_under_each_is_suggested_where_it_would_tell(measured_audit: Audit) -> None:
    searched = made(measured_audit, "it stands out beside clean models")
    norms = under(searched, "half", measured_audit)
    every = under(searched, "half", searched)
    for audit, suggested in ((norms, True), (every, False)):
        [caution] = [one for one in audit.finding.cautions if one.code == CAUTION]
        assert ("--each-preprocessing" in str(caution.sentence)) == suggested


def test_another_rule_judges_all_of_them(measured_audit: Audit) -> None:
    audit = under(measured_audit, "half", measured_audit)
    changed = made(audit, "by another rule")
    assert changed.readings[0].settings.rule == changed.settings.rule != audit.settings.rule


def test_all_are_beside_the_reference(measured_audit: Audit, tmp_path: Path) -> None:
    beside = made(measured_audit, "a reference explains it")
    alone = with_reference(beside, None)
    audit = with_reference(under(alone, "half", alone), beside.reference)
    assert audit.finding.level == "nothing-unusual"
    save_audit(audit, tmp_path / "a.h5")
    assert load_audit(tmp_path / "a.h5").finding == audit.finding


def test_readings_of_another_model_are_refused(measured_audit: Audit, tmp_path: Path) -> None:
    audit = under(measured_audit, "half", measured_audit)
    [reading] = audit.readings
    other = replace(reading, model=replace(reading.model, sha256="0" * 64))
    save_audit(replace(audit, readings=(other,)), tmp_path / "a.h5")
    with pytest.raises(InputError, match="do not fit"):
        load_audit(tmp_path / "a.h5")


def test_constants_that_nearly_agree_are_one_reading() -> None:
    known = NORMALIZATIONS
    assert known["cifar10"].is_nearly(known["cifar100"])
    assert not known["cifar10"].is_nearly(known["cifar10-pytorch-cifar"])
    assert not known["half"].is_nearly(known["none"])
    assert not known["none"].is_nearly(RAW)
    assert RAW.is_nearly(replace(RAW, mean=(1.0, 1.0, 1.0)))


class FakeEntrant:
    """What `open_readings` asks of an entrant."""

    def __init__(
        self, name: str, behind: float = 0.0, mismatch: float | None = None, images: int = 500
    ) -> None:
        self.loaded = type("Network", (), {"architecture": "net"})()
        self.preprocessing = Preprocessing(32, NORMALIZATIONS[name], "rgb")
        self.behind, self.mismatch, self.images = behind, mismatch, images
        self.combination = "net", self.preprocessing

    def lead_over(self, other: FakeEntrant) -> float:
        return other.behind - self.behind


@pytest.mark.parametrize(
    ("others", "left"),
    [
        ([FakeEntrant("half", 1.0)], ["half"]),
        ([FakeEntrant("half", 3.0)], []),  # 4.5 nats behind
        ([FakeEntrant("half", -1.0)], ["half"]),
        ([FakeEntrant("half", 0.0, 0.03)], ["half"]),
        ([FakeEntrant("half", 0.0, 0.05)], []),  # the batch norm remembers other inputs
        ([FakeEntrant("cifar100")], []),  # nearly the same numbers
        ([FakeEntrant("half", images=100), FakeEntrant("none")], ["none"]),
        ([FakeEntrant(one) for one in ("half", "none", "gtsrb")], ["half", "none"]),
    ],
)
def test_which_preprocessings_are_open(others: list[FakeEntrant], left: list[str]) -> None:
    chosen = FakeEntrant("cifar10", 0.0, 0.01)
    of: Callable[[list[FakeEntrant]], list[Entrant]] = list  # type: ignore[assignment]
    found = open_readings(of([chosen, *others]), of([chosen])[0])
    assert [one.preprocessing.normalization.name for one in found] == left


@pytest.mark.parametrize("each", [False, True])
def test_a_scan_looks_under_each(
    victim: Path, signs: Path, each: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_ones(entrants: list[Entrant], chosen: Entrant) -> list[Entrant]:
        return [one for one in entrants if one.combination != chosen.combination][:1]

    monkeypatch.setattr(settling, "open_readings", open_ones)
    monkeypatch.setattr(settling, "_MAX_RANKED", 0)
    detectors = EmbeddingShift(), DETECTORS.parse("pairs")
    parts: list[JobPart] = []

    class Watching(JobContext):
        def report(self, event: Event) -> None:
            if isinstance(event, JobPart):
                parts.append(event)

    audit = scan(
        victim, signs, ScanSettings(detectors=detectors, sample=120, each_preprocessing=each),
        job=Watching(),
    )  # fmt: skip
    count = 4 if each else 2
    assert parts == [JobPart(number, count) for number in range(1, count + 1)], "never back"
    [reading] = audit.readings
    assert [one.name for one in reading.evidence] == ["shift", "pairs"][: 1 + each]
    assert reading.preprocessing != audit.preprocessing
    assert reading.trials[0] in audit.trials
    assert (reading.embedding, reading.images.sha256) == (None, audit.images.sha256)
    assert not np.array_equal(reading.shifts.l2, audit.shifts.l2)
