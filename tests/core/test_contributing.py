"""Every example of CONTRIBUTING.md is one file that the library finds, runs and stores."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import bdshift
from examples import added, examples
from known import SIGNS, TARGET
from members import check_member

from bdshift.audit import Audit, Material, ScanSettings, add_tac, scan_opened
from bdshift.audit.purifying import purify_model
from bdshift.changes import CHANGES
from bdshift.changes.change_file import AboutChange, SavedChange
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.export import EXPORT_FORMS, write_checkpoint
from bdshift.detect.detector import DETECTORS
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.rule import RULES
from bdshift.errors import InputError
from bdshift.lab.poison import read_backdoors
from bdshift.purification import METHODS
from bdshift.recovery.scene import scene_of
from bdshift.recovery.search import search
from bdshift.registry import Registry
from bdshift.reports.html_report import html_report
from bdshift.reports.json_report import audit_json
from bdshift.reports.text_report import audit_text, neurons_text
from bdshift.store import load_audit, save_audit
from bdshift.triggers import TRIGGERS, parse_trigger
from bdshift.triggers.labeling import LABELINGS
from bdshift.words import translate

ROOT = Path(__file__).parents[2]


@contextmanager
def member(registry: Registry[Any], name: str, path: str, folder: Path) -> Iterator[type[Any]]:
    """The example, registered, checked like every member, and taken out again."""
    before = list(registry)
    with added(path, folder):
        try:
            assert set(registry) - set(before) == {name}
            check_member(registry, name)
            yield registry[name]
        finally:
            registry.forget(name)
    assert list(registry) == before


def test_an_attack(audit: Audit, victim_material: Material, tmp_path: Path) -> None:
    with member(TRIGGERS, "stripe", "core/bdshift/triggers/attacks/stripe.py", tmp_path):
        trigger = TRIGGERS.parse("stripe:column=4")
        image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
        assert trigger.apply(image)[..., 4].min() == 255
        measured = add_tac(audit, victim_material, trigger, TARGET)
        save_audit(measured, tmp_path / "stripe.h5")
        [*_, tac] = load_audit(tmp_path / "stripe.h5").tac
        assert "Trigger stripe:column=4: of the images" in neurons_text(measured, TARGET, tac, 5)
        assert "白い列" in translate(TRIGGERS["stripe"].label, "ja")


def test_a_labeling(tmp_path: Path) -> None:
    path = "core/bdshift/triggers/labelings/neighbor.py"
    with member(LABELINGS, "neighbor", path, tmp_path):
        assert "neighbor: The class before." in bdshift("settings", "labelings").stdout
        [backdoor] = read_backdoors("badnets", "neighbor", "dog", "", ("cat", "dog", "eel"))
        labels = torch.tensor([0, 1, 2, 0])
        poisoned = backdoor.labeling.to_poison(labels, backdoor.roles)
        assert poisoned.tolist() == [0, 3]
        assert backdoor.labeling.wanted(labels[poisoned], backdoor.roles).tolist() == [1, 1]


def test_a_purification_method(audit: Audit, victim_material: Material, tmp_path: Path) -> None:
    with member(METHODS, "shrink", "core/bdshift/purification/methods/shrink.py", tmp_path):
        method = METHODS.parse("shrink:factor=0.5")
        found = purify_model(audit, victim_material, method, TARGET)
        save_audit(dataclasses.replace(audit, purifications=(found,)), tmp_path / "shrink.h5")
        [again] = load_audit(tmp_path / "shrink.h5").purifications
        assert again.result.method == "shrink:factor=0.5"
        before = victim_material.classifier.weight
        after = again.result.applied_to(victim_material.classifier).weight
        np.testing.assert_allclose(after, before * 0.5, rtol=1e-6)


def test_a_rule(audit: Audit, tmp_path: Path) -> None:
    with member(RULES, "ratio", "core/bdshift/detect/rules/ratio.py", tmp_path):
        settings = dataclasses.replace(audit.settings, rule=RULES.parse("ratio:share=0.9"))
        judged = dataclasses.replace(audit, settings=settings)
        norms = audit.shifts.l2
        assert set(judged.judgment.flagged) == set(np.flatnonzero(norms < 0.9 * np.median(norms)))
        save_audit(judged, tmp_path / "ratio.h5")
        assert load_audit(tmp_path / "ratio.h5").judgment.flagged == judged.judgment.flagged
        statistics = audit_json(judged)["evidence"][0]["statistics"]
        assert statistics["ratio"][0] == pytest.approx(norms[0] / np.median(norms))
        assert "share" in audit_text(judged)


def test_a_detector(victim: Path, victim_scan: tuple[Audit, Material], tmp_path: Path) -> None:
    audit, material = victim_scan
    path = "core/bdshift/detect/detectors/head_norms.py"
    with member(DETECTORS, "head-norms", path, tmp_path):
        detectors = (EmbeddingShift(), DETECTORS.parse("head-norms"))
        settings = ScanSettings(sample=SIGNS, detectors=detectors)
        found, _ = scan_opened(open_checkpoint(victim), material.clean.collection, settings)
        save_audit(found, tmp_path / "norms.h5")
        loaded = load_audit(tmp_path / "norms.h5")
        evidence = loaded.evidence[-1]
        weight = audit.model.weight.astype(np.float64)
        np.testing.assert_allclose(evidence.scores, np.linalg.norm(weight, axis=1))
        np.testing.assert_allclose(evidence.record.biggest, abs(weight).max(1))
        assert "also    Head norms: " in audit_text(loaded)
        assert "ヘッドのノルム" in html_report(loaded, "ja")
        assert audit_json(loaded)["evidence"][1]["detector"] == "head-norms"
    later = load_audit(tmp_path / "norms.h5")  # by a version that does not know the detector
    np.testing.assert_array_equal(later.evidence[-1].scores, evidence.scores)
    assert [one.detector.name for one in later.judged] == ["shift"]
    assert "does not know head-norms" in audit_text(later)


def test_a_kind_of_change(audit: Audit, victim_material: Material, tmp_path: Path) -> None:
    assert audit.embedding is not None
    collection, targets = victim_material.clean.collection, torch.tensor([TARGET])
    scene = scene_of(
        victim_material.classifier, collection, audit.embedding, 24, seed=0,
        device=torch.device("cpu"),
    )  # fmt: skip
    path = "core/bdshift/changes/kinds/rows.py"
    with member(CHANGES, "rows", path, tmp_path), scene as found:
        kind, side = CHANGES.parse("rows"), found.pixels.shape[-1]
        params = search(kind, found, targets).params
        kind.check_params(params, side)
        assert kind.picture(params).shape == (1, 3, side, side)
        assert kind.strength(params).shape == (1, side, side)
        about = AboutChange(kind.spec, side, TARGET)
        file = tmp_path / "rows.safetensors"
        file.write_bytes(SavedChange(about, {key: one[0] for key, one in params.items()}).content())
        triggered = parse_trigger(f"recovered:file={file}")(found.pixels * 255)
        assert torch.allclose(triggered, kind.changed(params, found.pixels)[0] * 255, atol=1e-3)
        assert "rows: Stripes." in bdshift("settings", "changes").stdout
    with pytest.raises(InputError, match="unknown change 'rows'"):
        parse_trigger(f"recovered:file={file}")(torch.zeros(1, 3, side, side))


def test_an_export_format(victim_material: Material, tmp_path: Path) -> None:
    path = "core/bdshift/checkpoints/export/forms/numpy_archive.py"
    with member(EXPORT_FORMS, "numpy", path, tmp_path):
        target = tmp_path / "model.npz"
        write_checkpoint(victim_material.classifier, target, EXPORT_FORMS.parse("numpy"))
        with np.load(target) as found:
            ours = victim_material.classifier.network.state_dict()
            assert set(found.files) == set(ours)


def test_the_page_has_an_example_of_each_kind_and_the_code_is_in_order(tmp_path: Path) -> None:
    """The window's two are run by tests/gui/test_contributing.py."""
    places = {path.rpartition("/")[0] for path in examples()}
    assert places == {
        "core/bdshift/triggers/attacks", "core/bdshift/triggers/labelings",
        "core/bdshift/purification/methods",
        "core/bdshift/detect/rules", "core/bdshift/detect/detectors", "core/bdshift/changes/kinds",
        "core/bdshift/checkpoints/export/forms", "bdshift_gui/actions", "bdshift_gui/views",
    }  # fmt: skip
    for path, code in examples().items():
        (tmp_path / Path(path).name).write_text(code, "utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*ruff, tmp_path], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_page_of_settings_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert bdshift("settings", "--markdown").stdout == page, "write it again: make settings"


def test_settings_as_json() -> None:
    found = json.loads(bdshift("settings", "rules", "--json").stdout)
    assert list(found) == ["rules"]
    assert found["rules"]["grubbs"]["settings"][0]["default"] == 0.05
