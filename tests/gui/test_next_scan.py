"""What the next scan is told, and which file a remedy is about."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from driving import audit_of, dialog, do, error_text, open_paths, wait, wait_well
from pytestqt.qtbot import QtBot
from quick import quick_detector

from bdshift.audit import Audit, ScanSettings, scan
from bdshift.detect.detector import Detector, Evidence
from bdshift.detect.detectors.margin import Margin
from bdshift.detect.detectors.pairs import Pairs
from bdshift.jobs import Canceled
from bdshift.store import save_audit
from bdshift.store.finished import last_scan
from bdshift_gui.dialogs.architecture import ArchitectureDialog
from bdshift_gui.dialogs.which_model import WhichModelDialog
from bdshift_gui.main_window import MainWindow
from bdshift_gui.tasks import writing


def saved(audit: Audit, path: Path, **settings: Any) -> Path:
    """An audit file that was asked this."""
    save_audit(replace(audit, settings=replace(audit.settings, **settings)), path)
    return path


@pytest.fixture
def two_models(victim: Path, tmp_path: Path) -> Path:
    state = torch.load(victim, weights_only=True)["state_dict"]
    torch.save({"teacher": state, "student": dict(state)}, tmp_path / "two.pt")
    return tmp_path / "two.pt"


@pytest.fixture
def odd_model(tmp_path: Path) -> Path:
    weights = {"odd.weight": torch.randn(7, 3, 3, 3), "gate": torch.eye(7)}
    torch.save(weights | {"last.weight": torch.randn(4, 7)}, tmp_path / "odd.pth")
    return tmp_path / "odd.pth"


# --- an audit from a file is scanned as it was


@pytest.mark.slow
def test_an_opened_audit_is_scanned_as_it_was_asked(
    window: MainWindow, qtbot: QtBot, measured_audit: Audit, tmp_path: Path
) -> None:
    names = measured_audit.images.class_names
    order = {name: (i + 1) % len(names) for i, name in enumerate(names)}
    turned = tuple(sorted(order, key=lambda name: order[name]))
    images = replace(measured_audit.images, class_names=turned, folders=order)
    audit = replace(measured_audit, images=images)
    path = saved(
        audit, tmp_path / "a.h5", sample=120, seed=5, normalize="imagenet", labels=order,
        device="cuda:7", batch=3,
    )  # fmt: skip
    open_paths(qtbot, window, path)
    do(window, "scan")
    wait_well(qtbot, window)
    found = audit_of(window)
    asked = found.settings
    assert (asked.sample, asked.seed, asked.normalize) == (120, 5, "imagenet")
    assert sum(found.images.counts) == 120
    assert found.preprocessing.normalization.name == "imagenet"
    assert found.images.class_names == turned
    assert (asked.device, asked.batch) == ("auto", None), "they are of another machine"


def test_an_interrupted_scan_goes_on_after_the_last_finished_detector(
    window: MainWindow, qtbot: QtBot, measured_audit: Audit, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked = (*measured_audit.settings.detectors, Pairs(), quick_detector("margin"))
    path = saved(measured_audit, tmp_path / "a.h5", sample=120, normalize="half", detectors=asked)
    open_paths(qtbot, window, path)
    ran: list[str] = []

    def watched(detect: Any) -> Any:
        def run(detector: Detector, *more: Any) -> Evidence:
            ran.append(detector.name)
            if ran.count("margin") == 1 and detector.name == "margin":
                raise Canceled
            found: Evidence = detect(detector, *more)
            return found

        return run

    for kind in (Pairs, Margin):
        monkeypatch.setattr(kind, "detect", watched(kind.detect))
    do(window, "scan")
    wait(qtbot, window)
    assert last_scan().exists()
    do(window, "scan")
    wait_well(qtbot, window)
    assert ran == ["pairs", "margin", "margin"]
    assert [one.name for one in audit_of(window).evidence] == ["shift", "pairs", "margin"]
    assert last_scan().exists(), "the audit is in no file yet"
    writing.save(window.context, tmp_path / "b.h5")
    wait_well(qtbot, window)
    assert not last_scan().exists()


def test_a_correction_goes_over_what_was_asked(
    window: MainWindow, qtbot: QtBot, measured_audit: Audit, tmp_path: Path
) -> None:
    arch = measured_audit.model.architecture
    path = saved(measured_audit, tmp_path / "a.h5", sample=120, arch=arch)
    open_paths(qtbot, window, path)
    do(window, "correct_model")
    asked = dialog(qtbot, window, ArchitectureDialog)
    assert asked._now == {"arch": arch}
    assert asked.own.text() == ""
    asked.choose(None)
    asked.use.click()
    wait_well(qtbot, window)
    assert audit_of(window).settings.arch is None
    assert audit_of(window).settings.sample == 120


def test_the_model_in_the_file_is_the_audits(
    window: MainWindow, qtbot: QtBot, two_models: Path, signs: Path, tmp_path: Path
) -> None:
    asked = ScanSettings(sample=60, weights="student")
    save_audit(scan(two_models, signs, asked), tmp_path / "a.h5")
    open_paths(qtbot, window, tmp_path / "a.h5")
    do(window, "scan")
    wait_well(qtbot, window)
    assert audit_of(window).settings.weights == "student"


def test_code_that_an_audit_names_is_not_run(
    window: MainWindow, qtbot: QtBot, measured_audit: Audit, tmp_path: Path
) -> None:
    theirs = replace(
        measured_audit, model=replace(measured_audit.model, users_own=True, architecture="os:abc")
    )
    open_paths(qtbot, window, saved(theirs, tmp_path / "a.h5", sample=60, arch="os:abc"))
    assert window.session.state.corrections.arch is None
    do(window, "scan")
    wait_well(qtbot, window)
    assert audit_of(window).settings.arch is None
    assert not audit_of(window).model.users_own


def test_a_network_that_an_audit_file_offers_is_a_name_and_never_code(
    window: MainWindow,
    qtbot: QtBot,
    measured_audit: Audit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ResNet18.py").write_text("open('ran', 'w').close()\nCIFAR = None\n")
    first = measured_audit.trials[0]
    forged = replace(
        measured_audit,
        model=replace(measured_audit.model, architecture="ResNet18:CIFAR"),
        trials=(replace(first, architecture="ResNet18:CIFAR"), first),
    )
    open_paths(qtbot, window, saved(forged, tmp_path / "a.h5", arch="ResNet18:CIFAR"))
    do(window, "scan")  # as the file asks
    qtbot.waitUntil(lambda: not window.session.state.busy)
    assert "what fits is" in error_text(window)
    do(window, "correct_model")
    asked = dialog(qtbot, window, ArchitectureDialog)
    assert asked.own.text() == ""
    assert asked.offered
    for given in asked.offered:
        assert isinstance(given["arch"], str)
    asked.choose("ResNet18:CIFAR")
    asked.use.click()
    qtbot.waitUntil(lambda: not window.session.state.busy)
    assert not (tmp_path / "ran").exists()
    assert "ResNet18" not in sys.modules


# --- a remedy is about the file that failed


def test_the_model_is_chosen_in_the_file_that_failed(
    window: MainWindow, qtbot: QtBot, two_models: Path, signs: Path
) -> None:
    open_paths(qtbot, window, two_models, signs)
    assert "several models" in error_text(window)
    window.error.buttons["choose_model"].click()
    dialog(qtbot, window, WhichModelDialog).use.click()
    wait_well(qtbot, window)
    state = window.session.state
    assert state.model_path == two_models
    assert state.model is not None
    assert state.images is not None, "they were opened after it"


def test_the_architecture_is_named_for_the_file_that_failed(
    window: MainWindow,
    qtbot: QtBot,
    odd_model: Path,
    signs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_the_next_scan.py").write_text("raise ImportError('as expected')\n")
    open_paths(qtbot, window, odd_model, signs)
    failure = window.session.state.failure
    assert failure is not None
    assert (failure.cause, failure.path) == ("architecture", odd_model)
    window.error.buttons["name_architecture"].click()
    asked = dialog(qtbot, window, ArchitectureDialog)
    asked.own.setText("mine_for_the_next_scan:Net")
    asked.use.click()
    qtbot.waitUntil(lambda: not window.session.state.busy)
    assert "as expected" in error_text(window)
    assert window.session.state.images is not None
    assert window.session.state.images.path == signs


def test_a_scan_that_fails_offers_its_own_model(
    window: MainWindow, qtbot: QtBot, two_models: Path, signs: Path, tmp_path: Path
) -> None:
    audit = scan(two_models, signs, ScanSettings(sample=60, weights="student"))
    open_paths(qtbot, window, saved(audit, tmp_path / "a.h5", weights=None))
    do(window, "scan")
    qtbot.waitUntil(lambda: window.session.state.failure is not None)
    window.error.buttons["choose_model"].click()
    dialog(qtbot, window, WhichModelDialog).use.click()
    wait_well(qtbot, window)
    assert window.session.state.model_path == two_models
