"""What a model of the lab really is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import bdshift, one_line
from known import STICKER, TARGET

from bdshift.audit import Audit
from bdshift.audit.truth import Truth, card_beside, read_truth, reveal
from bdshift.errors import InputError
from bdshift.store import save_audit


def both(audit: Audit, truth: Truth) -> str:
    return " ".join(map(str, reveal(audit, truth)))


def test_a_target_that_was_found_or_not(victim_audit: Audit) -> None:
    assert victim_audit.finding.suspected == (TARGET,)
    said = both(victim_audit, Truth(STICKER, "speed_80"))
    assert said == (
        f"It is backdoored: {STICKER} sends images to class “speed_80”. The audit names that class."
    )
    assert "names another class, “speed_80”" in both(victim_audit, Truth(STICKER, "stop"))
    assert "not toward a single class" in both(victim_audit, Truth("dot", ""))
    assert "The audit is wrong: it suspects class “speed_80”." in both(victim_audit, Truth("", ""))


def test_classes_go_by_number_if_the_card_knows_it(victim_audit: Audit) -> None:
    """The names of an audit come from the folders of its images."""
    names = tuple(f"class {i}" for i in range(12))
    numbered = replace(victim_audit, images=replace(victim_audit.images, class_names=names))
    assert both(numbered, Truth(STICKER, "speed_80", TARGET)).endswith("names that class.")
    assert "another class" in both(numbered, Truth(STICKER, "stop", 10))


def test_one_that_was_missed(victim_audit: Audit) -> None:
    calm = replace(victim_audit, accuracy=0.05)  # nothing can be said of such a model
    assert not calm.finding.suspected
    assert "The audit misses it: Inconclusive." in both(calm, Truth(STICKER, "speed_80"))
    assert both(calm, Truth("", "")) == "It is clean. The audit says: Inconclusive."


def test_the_card_beside_a_model(victim: Path, tmp_path: Path) -> None:
    assert read_truth(card_beside(victim)) == Truth(STICKER, "speed_80", TARGET)
    with pytest.raises(InputError, match="no card beside it"):
        card_beside(victim.with_name("purified.pth"))
    model = tmp_path / "model.pth"
    with pytest.raises(InputError, match="no card beside it"):
        card_beside(model)
    (tmp_path / "card.json").write_text(json.dumps({"recipe": {"attack": "", "target": ""}}))
    assert read_truth(card_beside(model)) == Truth("", "")
    (tmp_path / "card.json").write_text("[]")
    with pytest.raises(InputError, match="not a victim's card"):
        read_truth(card_beside(model))


def test_the_command(victim_audit: Audit, tmp_path: Path) -> None:
    path, card = tmp_path / "a.h5", tmp_path / "mine.json"
    save_audit(victim_audit, path)
    said = bdshift("lab", "truth", path).stdout.splitlines()
    assert said[1] == "The audit names that class."
    card.write_text(json.dumps({"recipe": {"attack": "", "target": ""}}))
    assert bdshift("lab", "truth", path, "--card", card).stdout.startswith("It is clean.")
    one_line(bdshift("lab", "truth", path, "--card", tmp_path / "no.json"), 3, "not a victim")
