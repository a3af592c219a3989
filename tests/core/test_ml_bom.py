"""An audit as an ML-BOM, checked with the schema that CycloneDX publishes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import bdshift, one_line
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from known import SIGNS, STICKER, TARGET

from bdshift.audit import Audit
from bdshift.audit.cover import Cover
from bdshift.reports.ml_bom import ml_bom
from bdshift.store import save_audit


def checked(text: str) -> dict[str, Any]:
    """The BOM, once the official schema has accepted it."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return dict(json.loads(text))


def test_the_model_its_images_and_the_finding(measured_audit: Audit, victim: Path) -> None:
    signed = replace(measured_audit, cover=Cover("A. Uthor", ""), date="2025-03-04T09:30Z")
    bom = checked(ml_bom(signed))
    [model] = bom["components"]
    assert (model["type"], model["name"]) == ("machine-learning-model", victim.name)
    assert model["hashes"] == [{"alg": "SHA-256", "content": measured_audit.model.sha256}]
    card = model["modelCard"]
    assert card["modelParameters"]["modelArchitecture"] == measured_audit.model.architecture
    [images] = card["modelParameters"]["datasets"]
    told = {one["name"]: one["value"] for one in images["contents"]["properties"]}
    assert told["bdshift:images"] == str(SIGNS)
    assert told["bdshift:sha256"] == measured_audit.images.sha256
    metrics = {one["type"]: one for one in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert float(metrics["accuracy"]["value"]) == pytest.approx(measured_audit.accuracy, abs=1e-5)
    assert metrics["attack success rate"]["slice"] == f"trigger {STICKER}, to class speed_80"
    assert bom["metadata"]["authors"] == [{"name": "A. Uthor"}]
    assert bom["metadata"]["timestamp"] == "2025-03-04T09:30:00+00:00"
    [claim] = bom["declarations"]["claims"]
    [evidence] = bom["declarations"]["evidence"]
    assert claim["target"] == model["bom-ref"]
    assert claim["evidence"] == [evidence["bom-ref"]]
    attached = json.loads(evidence["data"][0]["contents"]["attachment"]["content"])
    assert attached["classes"] == [TARGET]
    [found] = bom["vulnerabilities"]
    assert found["affects"] == [{"ref": model["bom-ref"]}]
    assert "speed_80" in found["description"]
    assert any("AML.T0018" in one["url"] for one in found["advisories"])
    assert ml_bom(signed) == ml_bom(signed), "the same audit makes the same text"


def test_a_model_that_is_not_suspected_has_a_claim_and_no_vulnerability(
    measured_audit: Audit,
) -> None:
    quiet = replace(measured_audit, evidence=(_flat(measured_audit),), tac=(), date="")
    assert quiet.finding.level != "backdoored"
    bom = checked(ml_bom(quiet))
    assert "vulnerabilities" not in bom
    assert bom["declarations"]["claims"][0]["predicate"].endswith(str(quiet.finding.headline))


def _flat(audit: Audit) -> Any:
    """Evidence in which no class stands out."""
    [shift] = audit.evidence
    return replace(shift, scores=0 * shift.scores + 5)


def test_what_a_hostile_audit_says_stays_text(measured_audit: Audit) -> None:
    model = replace(measured_audit.model, path="/x/\x1b[2J\udc80.pth", sha256="no hash")
    bom = checked(ml_bom(replace(measured_audit, model=model)))
    assert bom["components"][0]["hashes"] == []
    assert "\x1b" not in bom["components"][0]["name"]


def test_the_commands_write_it(measured_audit: Audit, tmp_path: Path) -> None:
    save_audit(measured_audit, tmp_path / "a.h5")
    out = tmp_path / "bom.cdx.json"
    assert bdshift("report", tmp_path / "a.h5", "--out", out).exit_code == 0
    assert checked(out.read_text("utf-8"))["bomFormat"] == "CycloneDX"
    for name, words in (("a.docx", ".cdx.json"), ("report", ".html"), ("a.pdf", "bdshift-gui")):
        one_line(bdshift("report", tmp_path / "a.h5", "--out", tmp_path / name), 2, name, words)


def test_a_scan_writes_reports_by_their_names(
    victim: Path, few_signs: Path, tmp_path: Path
) -> None:
    scan = ("scan", "--quick", victim, few_signs, "--normalize", "half", "--no-cache")
    names = ("bom.cdx.json", "a.sarif", "a.json", "a.html")
    given = [part for name in names for part in ("--report", tmp_path / name)]
    assert bdshift(*scan, *given).exit_code == 0
    checked((tmp_path / "bom.cdx.json").read_text("utf-8"))
    assert json.loads((tmp_path / "a.sarif").read_text("utf-8"))["version"] == "2.1.0"
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["schema"] == "bdshift-scan-1"
    assert (tmp_path / "a.html").read_text("utf-8").startswith("<!doctype html>")
    one_line(bdshift(*scan, *given), 2, "exists")
    one_line(bdshift(*scan, "--report", tmp_path / "a.txt"), 2, "a.txt", ".sarif")
    one_line(bdshift("fleet", "--out", tmp_path, "--report", tmp_path / "t.txt"), 2, ".csv")
