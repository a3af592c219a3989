"""The detector of pairs: what it finds, keeps and says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import clusters, embedding_of

from bdshift.audit import Audit
from bdshift.audit.facts import Judged
from bdshift.audit.more_evidence import look_further
from bdshift.audit.more_evidence import with_evidence as with_evidence_of
from bdshift.detect.detector import Evidence, Subject
from bdshift.detect.detectors.pairs import ClassPairs, Pairs
from bdshift.detect.rule import default_rule
from bdshift.errors import UsageError
from bdshift.jobs import SILENT
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.pairs_json import pairs_json
from bdshift.reports.text_report import audit_text
from bdshift.shift.pair_map import suspicious_pairs
from bdshift.store import load_audit, save_audit
from bdshift.words import LANGUAGES

NEXT = [(i + 1) % 12 for i in range(12)]


def evidence(classes: int = 12, drawn: list[int] | None = None, seed: int = 0) -> Evidence:
    """Of clusters, each drawn to another class or none."""
    logits, labels, weight = clusters(classes, dim=24, drawn=drawn, seed=seed)
    embedding = embedding_of(logits, labels, weight.shape[1])
    names = [f"class {i}" for i in range(classes)]
    subject = Subject(embedding, weight.astype(np.float32), names, seed=seed)
    return Pairs().detect(subject, SILENT)


@pytest.fixture(scope="module")
def attacked() -> Evidence:
    return evidence(drawn=NEXT)


def with_evidence(audit: Audit, found: Evidence) -> Audit:
    """The victim's audit, in which the shift finds nothing, and pairs were looked at."""
    shifts = replace(audit.shifts, l2=np.linspace(10, 11, 12))
    first = replace(audit.evidence[0], scores=shifts.l2, record=shifts)
    settings = replace(audit.settings, detectors=(*audit.settings.detectors, Pairs()))
    return replace(audit, evidence=(first, found), settings=settings, tac=(), purifications=())


def test_every_class_to_the_next_is_found(attacked: Evidence) -> None:
    record = attacked.record
    assert isinstance(record, ClassPairs)
    assert record.best.tolist() == record.map.targets.tolist() == NEXT
    assert record.exact
    assert record.map.p < 0.01
    judgment = Pairs().judge_evidence(attacked, default_rule())
    assert sorted(judgment.suspected) == [*range(12)]
    assert judgment.p == record.map.p
    assert attacked.pairs is not None
    assert np.nanargmin(attacked.pairs, 0).tolist() == np.argsort(NEXT).tolist()
    np.testing.assert_allclose(attacked.scores, np.nanmin(attacked.pairs, 0))


def test_clean_clusters_and_one_pair_are_not(victim_audit: Audit) -> None:
    one_pair = [*range(12)]
    one_pair[4] = 7
    for found in (evidence(seed=1), evidence(drawn=one_pair, seed=2)):
        assert Pairs().judge_evidence(found, default_rule()).suspected == ()
        audit = with_evidence(victim_audit, found)
        assert audit.finding.level == "nothing-unusual"
    record = found.record
    assert isinstance(record, ClassPairs)
    order = list(suspicious_pairs(record.residual))
    assert order[0] == (4, 7)
    assert order.index((7, 4)) > len(order) // 2
    assert sorted(order) == [(i, j) for i in range(12) for j in range(12) if i != j]


def test_the_finding_names_the_map(victim_audit: Audit, attacked: Evidence) -> None:
    audit = with_evidence(victim_audit, attacked)
    finding, names = audit.finding, audit.images.class_names
    assert finding.level == "backdoored"
    assert sorted(finding.classes) == [*range(12)]
    assert [one.code for one in finding.reasons] == ["pairs-several-stand-out"]
    assert f"every class to the next, “{names[0]}” → “{names[1]}”" in str(finding)
    assert f"各クラスを次のクラスへ、「{names[0]}」" in finding.statement.render("ja")


def test_another_map_is_listed(victim_audit: Audit) -> None:
    order = np.random.default_rng(3).permutation(12)
    drawn = np.empty(12, np.int64)
    drawn[order] = np.roll(order, -1)
    found = evidence(drawn=drawn.tolist(), seed=3)
    audit = with_evidence(victim_audit, found)
    names, said = audit.images.class_names, str(audit.finding)
    assert "to the next" not in said
    assert all(f"“{names[i]}” → “{names[drawn[i]]}”" in said for i in range(12))


def test_nothing_is_said_in_words(victim_audit: Audit) -> None:
    audit = with_evidence(victim_audit, evidence(seed=1))
    [_, remark] = audit.finding.reasons
    assert remark.code == "pairs-none-stands-out"
    said = str(remark.sentence)
    assert "No map of classes stands out (p = " in said
    assert "proves nothing" in said
    assert "証明されません" in remark.sentence.render("ja")


@pytest.mark.parametrize("classes", [2, 4, 5])
def test_few_classes_are_said_to_be_too_few(classes: int) -> None:
    found = evidence(classes, drawn=[(i + 1) % classes for i in range(classes)])
    judgment = Pairs().judge_evidence(found, default_rule())
    assert judgment.suspected == ()
    assert not judgment.able
    codes = [one.code for one in Pairs().cautions(found, ["x"] * classes)]
    assert codes == ["too-few-for-a-map"]
    assert Pairs().cautions(evidence(), ["x"] * 12) == ()


def test_classes_without_images_are_named() -> None:
    logits, labels, weight = clusters(12, dim=24)
    embedding = embedding_of(logits[labels > 1], labels[labels > 1], 24)
    found = Pairs().detect(Subject(embedding, weight.astype(np.float32), ["x"] * 12), SILENT)
    [caution] = Pairs().cautions(found, ["x"] * 12)
    assert (caution.code, caution.values["count"]) == ("pairs-unknown", 2)
    assert np.isnan(found.scores[:2]).all()
    assert np.isfinite(found.scores[2:]).all()


def test_an_audit_file_keeps_it(victim_audit: Audit, attacked: Evidence, tmp_path: Path) -> None:
    audit = with_evidence(victim_audit, attacked)
    save_audit(audit, tmp_path / "a.h5")
    again = load_audit(tmp_path / "a.h5")
    assert again.finding == audit.finding
    kept, record = again.evidence[1].record, attacked.record
    for name, value in vars(record).items():
        np.testing.assert_array_equal(getattr(kept, name), value, err_msg=name)
    np.testing.assert_array_equal(again.evidence[1].pairs, attacked.pairs)


def test_an_audit_is_looked_at_further(victim_audit: Audit) -> None:
    """From the cached embedding, with the numbers of a scan; once more, it takes the old place."""
    found = look_further(victim_audit, Pairs())
    audit = with_evidence_of(victim_audit, Pairs(), found)
    assert audit.evidence == (*victim_audit.evidence, found)
    assert audit.settings.detectors == (*victim_audit.settings.detectors, Pairs())
    assert audit.judged[1].detector == Pairs()
    again = look_further(victim_audit, Pairs(alpha=0.2))
    audit = with_evidence_of(audit, Pairs(alpha=0.2), again)
    assert audit.evidence == (*victim_audit.evidence, again)
    assert len(audit.settings.detectors) == 2
    with pytest.raises(UsageError, match="scan again"):
        look_further(replace(victim_audit, embedding=None), Pairs())


def test_a_map_to_no_class_is_refused(attacked: Evidence) -> None:
    with pytest.raises(ValueError, match="do not exist"):
        replace(attacked.record, best=np.full(12, 99))


def test_of_many_classes_only_a_summary_is_told() -> None:
    """A thousand classes have a million pairs, which are in the audit file."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(101, 101))
    np.fill_diagonal(scores, np.nan)
    scores[4, 7] = -9.0
    found = Evidence(Pairs().spec, np.nanmin(scores, 0), pairs=scores)
    judgment = Pairs().judge(found.scores, default_rule())
    made = pairs_json(Judged(Pairs(), found, judgment))
    assert made["pairs"] is None
    summary = made["pairs_summary"]
    assert summary["most_suspicious"][0] == {"source": 4, "target": 7, "score": -9.0}
    assert "101 × 101 scores are in the audit file, at evidence/pairs/pairs" in summary["left_out"]
    assert len(json.dumps(made)) < 2000
    few = replace(found, scores=found.scores[:100], pairs=scores[:100, :100])
    told = pairs_json(Judged(Pairs(), few, judgment))
    assert len(told["pairs"]) == 100
    assert told["pairs_summary"]["left_out"] is None


def test_text_json_and_report_show_it(victim_audit: Audit, attacked: Evidence) -> None:
    audit = with_evidence(victim_audit, attacked)
    names = audit.images.class_names
    text = " ".join(audit_text(audit).split())
    assert f"every class to the next, “{names[0]}”" in text
    assert "most suspicious pairs:" in text
    made = json.loads(json.dumps(audit_json(audit)))["evidence"][1]
    assert made["pairs"][0][0] is None
    assert made["pairs"][0][1] == pytest.approx(float(attacked.pairs[0, 1]))  # type: ignore[index]
    summary = made["pairs_summary"]
    assert (summary["classes"], summary["left_out"]) == (12, None)
    assert summary["map"] == NEXT
    first = summary["most_suspicious"][0]
    assert NEXT[first["source"]] == first["target"]
    assert {"source": first["source"], "target": first["target"]} in summary["candidates"]
    assert sorted(made["suspected"]) == [*range(12)]
    assert audit_json(audit)["finding"]["reasons"][0]["values"]["targets"] == NEXT
    for language in LANGUAGES:
        page = html_report(audit, language)
        assert "&lt;text" not in page, "words of a drawing are drawn"
        assert page.count("<title>") == 12 * 11 + 12 + 64 + 1, "pairs, bars, neurons, page"
