"""What an audit means, and that every front end of the library says the same."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from matrix import MATRIX, second_detector

import bdshift.audit
from bdshift.audit import Audit
from bdshift.audit.elsewhere import suspected_elsewhere
from bdshift.audit.finding import HEADLINES, LIMITS, Finding
from bdshift.audit.reading_doubts import is_poor
from bdshift.cli import main
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.store import load_audit, save_audit
from bdshift.words import LANGUAGES, Language, translate


@pytest.fixture(autouse=True)
def _second_detector() -> Iterator[None]:
    with second_detector():
        yield


@pytest.fixture(params=MATRIX)
def case(request: pytest.FixtureRequest, measured_audit: Audit) -> tuple[str, Audit]:
    make, *_ = MATRIX[request.param]
    return request.param, make(measured_audit)


def sentences(finding: Finding, language: Language) -> list[str]:
    remarks = (*finding.reasons, *finding.cautions)
    return [one.sentence.render(language) for one in remarks]


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def test_the_level_and_its_reasons(case: tuple[str, Audit]) -> None:
    name, audit = case
    _, level, classes, codes = MATRIX[name]
    finding = audit.finding
    assert (finding.level, finding.classes) == (level, classes)
    assert tuple(one.code for one in finding.reasons) == codes
    assert not {one.code for one in finding.cautions} & set(codes)


def test_what_the_scores_of_a_detector_do_not_show_is_said(
    case: tuple[str, Audit],
) -> None:
    """A class that is marked among the scores of a detector that does not suspect it."""
    name, audit = case
    reasons = {
        "only a recovered trigger finds it": "because of a recovered trigger: “no_entry”",
        "only the second finds it": "by Lengths of the tests: “no_entry”",
        "several stand out beside clean models": "by Mask and pattern: “no_entry”, “speed_30”",
        "only a recovered trigger stands out beside clean models": (
            "because of a recovered trigger: “no_entry”"
        ),
    }
    said = suspected_elsewhere(audit, audit.judged[0])
    assert (said is not None) == (name in reasons)
    for text in (audit_text(audit), html.unescape(html_report(audit))):
        assert ("stands out here" in unwrapped(text)) == (name in reasons)
    if said is not None:
        assert str(said) == f"No class stands out here; suspected {reasons[name]}"
        assert "ここでは" in html_report(audit, "ja")


def test_every_front_end_says_the_same(case: tuple[str, Audit]) -> None:
    _, audit = case
    finding = audit.finding
    others = set(HEADLINES.values()) - {HEADLINES[finding.level]}

    text = unwrapped(audit_text(audit))
    assert text.startswith(str(finding.headline).upper())
    assert all(unwrapped(one) in text for one in sentences(finding, "en"))
    assert not any(other.upper() in text for other in others)

    told = audit_json(audit)["finding"]
    assert (told["level"], tuple(told["classes"])) == (finding.level, finding.classes)
    remarks = [*told["reasons"], *told["cautions"]]
    assert [one["text"] for one in remarks] == sentences(finding, "en")
    assert json.loads(json.dumps(remarks, allow_nan=False)) == remarks

    for language in LANGUAGES:
        page = html.unescape(html_report(audit, language))
        assert f"<strong>{finding.headline.render(language)}</strong>" in page
        assert all(one in page for one in sentences(finding, language))
        assert not any(f"<strong>{translate(one, language)}</strong>" in page for one in others)
        assert translate(LIMITS, language) in page


@pytest.mark.parametrize("fail_on", [None, "suspicious", "inconclusive"])
def test_the_exit_status(
    case: tuple[str, Audit], fail_on: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, audit = case
    monkeypatch.setattr(bdshift.audit, "scan", lambda *_, **__: audit)
    given = ["--fail-on", fail_on] if fail_on else []
    status = CliRunner().invoke(main, ["scan", "m.pth", "images", "--no-cache", *given]).exit_code
    failing = {
        None: set(), "suspicious": {"backdoored"}, "inconclusive": {"backdoored", "inconclusive"},
    }  # fmt: skip
    assert status == int(audit.finding.level in failing[fail_on])


def test_a_file_keeps_the_finding(case: tuple[str, Audit], tmp_path: Path) -> None:
    _, audit = case
    save_audit(dataclasses.replace(audit, embedding=None), tmp_path / "a.h5")
    found = load_audit(tmp_path / "a.h5")
    assert found.finding == audit.finding
    assert [one.detector for one in found.evidence] == [one.detector for one in audit.evidence]


def test_all_words_of_a_finding_are_translated(case: tuple[str, Audit]) -> None:
    _, audit = case
    for english, japanese in zip(
        sentences(audit.finding, "en"), sentences(audit.finding, "ja"), strict=True
    ):
        assert english != japanese
        assert "{" not in japanese


@pytest.mark.parametrize(
    ("accuracy", "classes", "poor"),
    [(0.5, 10, False), (0.49, 10, True), (0.7, 2, True), (0.73, 2, False), (0.3, 100, False),
     (0.29, 100, True), (0.31, 1000, False), (0.46, 43, False), (0.44, 43, True)],
)  # fmt: skip
def test_poor_accuracy_goes_by_the_number_of_classes(
    accuracy: float, classes: int, poor: bool
) -> None:
    assert is_poor(accuracy, classes) is poor


def test_a_natural_trigger_is_called_one(measured_audit: Audit) -> None:
    make, *_ = MATRIX["a natural trigger"]
    [caution] = [c for c in make(measured_audit).finding.cautions if c.code == "natural-trigger"]
    assert (caution.values["index"], caution.values["share"]) == (4, 0.6)
    assert "60% of the clean images of class 4 “no_entry”" in str(caution.sentence)


def test_remarks_of_the_reader_are_cautions(measured_audit: Audit) -> None:
    from bdshift.remark import AS_WRITTEN, Remark

    noted = dataclasses.replace(measured_audit, notes=(Remark(AS_WRITTEN, {"text": "read twice"}),))
    assert str(noted.finding.cautions[-1].sentence) == "read twice"
    assert "! read twice" in audit_text(noted)
