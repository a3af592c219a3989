"""What reports show of the comparison with clean models."""

from __future__ import annotations

import html
import json
from dataclasses import replace

import pytest
from matrix import MATRIX

from bdshift.audit import Audit
from bdshift.audit.beside import in_words
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text
from bdshift.reports.verdict_rows import HEADS, evidence_rows, how_right, similar_models
from bdshift.verdict.calibration import Calibration
from bdshift.verdict.clean_models import shipped_table
from bdshift.words import Sentence


@pytest.fixture
def compared(measured_audit: Audit) -> Audit:
    make, *_ = MATRIX["it stands out beside clean models"]
    return make(measured_audit)


def test_the_page_shows_every_kind(compared: Audit) -> None:
    page = html.unescape(html_report(compared))
    section = page.partition("Compared with clean models")[2].partition("<h2>")[0]
    models = shipped_table().null(["shift", "mask"]).standing(0.0).models
    assert section.count("<tr>") == 4  # a head, all kinds, two of them
    assert f"<td>0 of {models}</td>" in section
    assert "<td>Mask and pattern</td><td>speed_80</td><td>factor of 1" in section
    assert section.count("<circle") == 3 * models
    assert section.count(' fill="var(--red)"/>') == 3, "a diamond for each"
    known = shipped_table().calibration
    assert how_right(known, "en") in section
    assert section.count("l6 6l") == 3
    drawn = 2 + bool(known.left_out) + bool(known.held_out)
    assert section.count('fill="none"') == 2 * drawn + 1, "each with its legend, and the axes"
    assert "most similar evidence: " in section
    japanese = html.unescape(html_report(compared, "ja"))
    assert "クリーンなモデルとの比較" in japanese
    assert f"{models} 個中 0 個" in japanese
    assert compared.verdict is not None
    assert "、".join(similar_models(compared.verdict, "ja")) in japanese


def test_a_row_says_what_a_person_asks(compared: Audit, measured_audit: Audit) -> None:
    verdict = compared.verdict
    assert verdict is not None
    every, *kinds = (one.cells for one in evidence_rows(compared, verdict, "en"))
    assert {len(one) for one in (every, *kinds)} == {len(HEADS)}
    assert every[:5] == ("all kinds together", "speed_80", "–", "–", "–")
    mask = next(one for one in kinds if one[0] == "Mask and pattern")
    assert mask[3].endswith("%")
    assert next(one for one in kinds if one[0] != mask[0])[3:5] == ("–", "–")
    make, *_ = MATRIX["a natural trigger"]
    natural = make(measured_audit)
    assert natural.verdict is not None
    [own] = [
        one.cells[4] for one in evidence_rows(natural, natural.verdict, "en")
        if one.cells[0] == mask[0]
    ]  # fmt: skip
    assert "60%, not counted" in own


def test_how_right_p_is_is_said_with_its_counts() -> None:
    known = Calibration((0.02, 0.05, 0.0501, 0.1, *[0.5] * 16), (0.04, 0.7))
    said = how_right(known, "en")
    assert "Of 20 clean models that were left out of the table in turn" in said
    assert "2 (10%) got p ≤ 0.05 and 4 (20%) got p ≤ 0.1" in said
    assert said.endswith("Of 2 others that were never in it: 1 and 1.")
    assert how_right(Calibration((0.5,)), "en").count("Of ") == 1
    assert how_right(Calibration(), "ja") == ""


def test_without_a_comparison_there_is_no_section(measured_audit: Audit) -> None:
    assert "Compared with clean models" not in html_report(measured_audit)


def test_the_json_has_all_of_it(compared: Audit) -> None:
    told = json.loads(json.dumps(audit_json(compared), allow_nan=False))["verdict"]
    verdict = compared.verdict
    assert verdict is not None
    assert (told["class"], told["suspected"], told["as_strong"]) == (9, [9], 0)
    assert told["p"] == verdict.standing.p <= told["p_limit"]
    assert [one["detector"].partition(":")[0] for one in told["kinds"]] == ["mask", "shift"]
    assert told["kinds"][0]["factor"] > 10
    by_rule = compared.under(compared.settings.rule, by_rule=True)
    assert audit_json(by_rule)["verdict"] is None


def test_the_text_says_what_decided(compared: Audit) -> None:
    assert "Comparison with clean models: a class is suspected up to p = " in audit_text(compared)
    by_rule = compared.under(compared.settings.rule, by_rule=True)
    assert "Rule: Grubbs test, threshold p = 0.05" in audit_text(by_rule)


def test_the_first_sentence_is_plain_and_says_whose_p_it_is(compared: Audit) -> None:
    verdict = compared.verdict
    assert verdict is not None
    models, p = verdict.standing.models, verdict.standing.p
    independent = verdict.standing.independent
    assert independent < models
    assert p == pytest.approx(1 / (1 + independent)), "what a reader computes"
    related = f"; related models count as one, which leaves {independent}"
    assert str(compared.finding.statement) == (
        f"Class 9 “speed_80” looks like the target of a backdoor: none of {models} models that are "
        f"known to be clean has evidence this strong against any class (verdict: p = {p:.2g}, the "
        f"lowest that so many allow{related})."
    )
    assert f"（判定の p = {p:.2g}" in compared.finding.statement.render("ja")
    some = in_words(replace(verdict.standing, count=8, p=0.06, estimated=False))
    assert str(some) == (
        f"8 of {models} models that are known to be clean have evidence this strong against a "
        f"class (verdict: p = 0.06{related})"
    )
    between = in_words(replace(verdict.standing, p=0.02, estimated=True))
    assert "p = 0.02, estimated from how their strengths fall off" in str(between)
    alone = in_words(replace(verdict.standing, least=1 / (1 + models)))
    assert "related" not in str(alone)


def test_evidence_that_many_clean_models_have_is_called_not_unusual(compared: Audit) -> None:
    assert compared.verdict is not None
    for one in compared.finding.reasons:
        if one.code != "evidence-beside-clean-models":
            continue
        [kind] = [
            kind for kind in compared.verdict.kinds
            if str(one.sentence).startswith(str(Sentence(kind.detector.label)))
        ]  # fmt: skip
        usual = kind.standing.p > 0.1
        assert str(one.sentence).endswith(", which is not unusual.") is usual
        assert one.sentence.render("ja").endswith("（珍しくありません）。") is usual
    said = [str(one.sentence) for one in compared.finding.reasons]
    assert any("which is not unusual" in one for one in said)
    assert any("0 of" in one and "unusual" not in one for one in said)


def test_the_most_similar_models_are_themselves() -> None:
    table = shipped_table()
    one = table.models[3]
    strongest = {
        kind: float(scale.strength(one.drops[kind][0], one.drops[kind][1]))  # type: ignore[arg-type]
        for kind, scale in table.scales.items()
    }
    assert table.most_similar(strongest, 1) == [one]
