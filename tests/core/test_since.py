"""Two audits at different times: what changed, in sentences, a table and JSON that agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from audit_files import old_audit
from commands import bdshift, one_line
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.audit.since import Since
from bdshift.detect.detectors.mask import MaskInversion
from bdshift.detect.rules.paper import Paper
from bdshift.images.framing import FITS
from bdshift.reports.since_report import since_sections
from bdshift.reports.since_table import since_json, since_table, since_text
from bdshift.store import save_audit
from bdshift.words import LANGUAGES


def told(since: Since) -> dict[str, str]:
    """The sentences of each part, in English."""
    return {
        one.title: " ".join(str(sentence) for sentence in one.sentences)
        for one in since_sections(since)
    }


@pytest.fixture
def old(audit: Audit) -> Audit:
    """Before anything was measured or purified."""
    return replace(audit, tac=(), purifications=(), date="2025-01-02T03:04Z")


@pytest.fixture
def new(audit: Audit) -> Audit:
    """With all of it, and a recovered trigger."""
    made = with_recovery(audit, made_recovery(audit))
    return replace(made, date="2025-03-04T09:30Z")


def test_what_was_added_is_said(old: Audit, new: Audit) -> None:
    since = Since(old, new)
    said = told(since)
    assert since.relation == "same"
    assert f"the same weights (SHA-256 {new.model.sha256})" in said["Model"]
    assert "Audited 2025-01-02 03:04 UTC, and again 2025-03-04 09:30 UTC." in said["Model"]
    assert "The same images were used." in said["Model"]
    assert said["Settings"] == "The scans had the same settings."
    assert "The finding is the same: Probably backdoored." in said["Finding"]
    assert "The suspected class is still “speed_80”." in said["Finding"]
    assert said["Classes"] == "No norm has changed by more than 1%."
    [known] = new.tac
    assert (
        f"Trigger {known.trigger} for class “speed_80”: new, with an ASR of 100.0%."
        in (said["Triggers"])
    )
    assert "(Mask and pattern): new, with an ASR of 99.0%." in said["Triggers"]
    for made in new.purifications:
        figures = f"new; accuracy {made.after.acc:.1%}, ASR {made.after.asr:.1%}."
        assert f"{made.result.method} for class “speed_80”: {figures}" in said["Purified models"]
    back = told(Since(new, old))
    assert "The audit that is given first was made later." in back["Model"]
    assert "only in the first audit, with an ASR of 99.0%." in back["Triggers"]
    assert back["Purified models"].count("only in the first audit; accuracy") == 2


def test_nothing_changed(new: Audit) -> None:
    said = told(Since(new, new))
    assert said["Triggers"].count("ASR is still") == 2
    assert said["Purified models"].count("in both; accuracy") == 2
    bare = replace(new, tac=(), recoveries=(), purifications=(), date="")
    said = told(Since(bare, bare))
    assert "Neither audit says when it was made." in said["Model"]
    assert said["Triggers"] == "No trigger was measured or recovered, now or before."
    assert said["Purified models"] == "There are no purified models, now or before."
    assert all(row[3] == "0%" for row in since_table(Since(bare, bare)).rows)


def test_settings_norms_and_finding(old: Audit) -> None:
    shifts = old.shifts
    norms = shifts.l2.copy()
    norms[9], norms[3] = 2 * norms[9], 1.005 * norms[3]
    first = replace(old.evidence[0], scores=norms, record=replace(shifts, l2=norms))
    settings = replace(old.settings, seed=7, rule=Paper(beta=3.5))
    new = replace(old, evidence=(first,), settings=settings, accuracy=0.5)
    since = Since(old, new)
    said = told(since)
    assert "seed was 0 and is 7." in said["Settings"]
    assert f"rule was {old.settings.rule.spec} and is {settings.rule.spec}." in said["Settings"]
    assert "detector" not in said["Settings"]
    assert f"Clean accuracy was {old.accuracy:.2%} and is 50.00%." in said["Model"]
    assert "1 norm has changed by more than 1%, most that of “speed_80”" in said["Classes"]
    assert "The finding was “Probably backdoored” and is “" in said["Finding"]
    assert "The suspected class was “speed_80” and is none." in said["Finding"]
    table = since_table(since)
    [row] = [row for row in table.rows if row[0] == "speed_80"]
    assert row[3] == "+100.0%"
    assert row[-1] == "only before"
    assert [one for one, mark in zip(table.rows, table.suspected, strict=True) if mark] == [row]
    described = since_json(since)
    assert {"name": "seed", "was": "0", "now": "7"} in described["settings"]
    [told_of] = [one for one in described["classes"] if one["name"] == "speed_80"]
    assert told_of["l2"]["now"] == pytest.approx(2 * told_of["l2"]["before"])
    assert told_of["suspected"] == {"before": True, "now": False}


def test_other_models_are_told_apart(old: Audit) -> None:
    retrained = replace(old, model=replace(old.model, sha256="0" * 64))
    since = Since(old, retrained)
    assert since.relation == "retrained"
    assert "The weights are others." in told(since)["Model"]
    assert Since(old, replace(old, model=replace(old.model, weights="ema"))).relation != "same"
    names = tuple(reversed(old.images.class_names[:6])) + tuple(f"other {i}" for i in range(6))
    other = replace(retrained, images=replace(old.images, class_names=names, sha256="1" * 64))
    since = Since(old, other)
    assert since.relation == "other"
    said = told(since)["Model"]
    assert "These are different models" in said
    assert "6 of 12 classes have the same name in both" in said
    assert "Other images were used" in said
    assert len(since_table(since).rows) == 6
    for was, now in since.classes:
        assert old.images.class_names[was] == names[now]
    nothing = replace(other, images=replace(other.images, class_names=("x",) * 12))
    assert since_table(Since(old, nothing)).rows == ()
    detectors = (*old.settings.detectors, MaskInversion(budget=46.0))
    searched = replace(old, settings=replace(old.settings, fit=FITS[0], detectors=detectors))
    assert f"fit is new: {FITS[0]}." in told(Since(old, searched))["Settings"]
    assert "detector mask is new: mask:" in told(Since(old, searched))["Settings"]
    back = told(Since(searched, old))["Settings"]
    assert f"fit is no longer given; it was {FITS[0]}." in back
    assert "0 of 12 classes" in " ".join(since_text(Since(old, nothing)).split())


def test_all_of_it_is_japanese(old: Audit, new: Audit) -> None:
    stranger = replace(new, model=replace(new.model, sha256="0" * 64, architecture="other"))
    for since in (Since(old, new), Since(new, old), Since(old, stranger), Since(new, new)):
        for section in since_sections(since):
            for one in section.sentences:
                assert one.render("ja") != one.render("en")
                assert "{" not in one.render("ja")
        heads = [since_table(since, language).heads for language in LANGUAGES]
        assert not set(heads[0]) & set(heads[1])


def test_older_files_and_the_command(new: Audit, tmp_path: Path) -> None:
    first, second = tmp_path / "old.h5", tmp_path / "new.h5"
    save_audit(old_audit("schema-1"), first)
    save_audit(new, second)
    text = bdshift("diff", first, second)
    assert text.exit_code == 0
    for title in ("MODEL", "SETTINGS", "FINDING", "CLASSES", "TRIGGERS", "PURIFIED MODELS"):
        assert f"{title}\n" in text.output
    assert "◆ speed_80" in text.output
    made = json.loads(bdshift("diff", first, second, "--json").output)
    assert made["relation"] in ("retrained", "other")
    assert made["before"]["date"] is None
    assert made["now"]["suspected"] == [{"index": 9, "name": "speed_80"}]
    assert len(made["purifications"]) >= 2
    assert made["sentences"]["Finding"][0] in " ".join(text.output.split())
    one_line(bdshift("diff", first, tmp_path / "no.h5"), 3, "no such file")


def test_no_name_from_a_file_begins_a_line(old: Audit) -> None:
    forged = "x\nFINDING\x1b[2J"
    names = (forged, *old.images.class_names[1:])
    hostile = replace(
        old, images=replace(old.images, class_names=names), model=replace(old.model, path=forged)
    )
    text = since_text(Since(old, hostile))
    assert text.count("\nFINDING") == 1
    assert "\x1b" not in text
