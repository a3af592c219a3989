"""Findings in the form that code hosts take."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from commands import bdshift
from known import TARGET

from bdshift.reports.sarif import SarifModel, sarif


def run_of(text: str) -> dict[str, Any]:
    found = json.loads(text)
    assert found["version"] == "2.1.0"
    [run] = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    for one in run["results"]:  # what the standard asks of references into the run
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        [place] = one["locations"]
        where = place["physicalLocation"]["artifactLocation"]
        assert run["artifacts"][where["index"]]["location"]["uri"] == where["uri"]
    return dict(run)


def test_each_model_is_an_artifact_and_each_alarm_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = run_of(
        sarif(
            [
                SarifModel(str(tmp_path / "a b.pth"), "aa", "backdoored", "Class 3.", {"p": 0.01}),
                SarifModel("s3://zoo/b.pth", "bb", "nothing-unusual", "None."),
                SarifModel("/elsewhere/ü.pth", "", None, "It is empty."),
                SarifModel("d.pth", "dd", "inconclusive", "Few images.", {"p": math.nan}),
            ]
        )
    )
    assert [one["location"]["uri"] for one in run["artifacts"]] == [
        "a%20b.pth", "s3://zoo/b.pth", "file:///elsewhere/%C3%BC.pth", "d.pth",
    ]  # fmt: skip
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [
        ("bdshift/backdoored", "error"), ("bdshift/not-audited", "warning"),
        ("bdshift/inconclusive", "warning"),
    ]  # fmt: skip
    assert run["results"][0]["partialFingerprints"] == {"modelSha256/v1": "aa"}
    assert run["results"][0]["properties"] == {"p": 0.01}
    assert run["results"][2]["properties"] == {"p": None}
    [suspected] = [
        one for one in run["tool"]["driver"]["rules"] if one["id"].endswith("backdoored")
    ]
    assert "mitre-atlas/AML.T0018" in suspected["properties"]["tags"]


def test_names_from_anyone_are_text_and_need_not_be_utf_8() -> None:
    run = run_of(sarif([SarifModel("a\udc80.pth", "", "backdoored", r"[x](http://y) {0} \\ z")]))
    assert run["artifacts"][0]["location"]["uri"] == "a%80.pth"
    assert run["results"][0]["message"]["text"] == r"\[x\](http://y) {{0}} \\\\ z"


def test_an_audit_as_sarif(victim: Path, signs: Path, tmp_path: Path) -> None:
    audit, out = tmp_path / "a.h5", tmp_path / "a.sarif"
    bdshift("scan", victim, signs, "--quick", "--sample", "240", "--out", audit)
    assert bdshift("report", audit, "--out", out).exit_code == 0
    [result] = run_of(out.read_text("utf-8"))["results"]
    assert f"class {TARGET}" in result["message"]["text"].lower()
    assert 0 < result["properties"]["p"] < 0.05
