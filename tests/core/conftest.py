"""What tests of the library share beside tests/conftest.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from image_set_files import cifar_folder
from known import STICKER, TARGET

from bdshift.audit import Audit, Material
from bdshift.audit.purifying import purify_model
from bdshift.images.signs import CLASSES, draw_signs
from bdshift.lab import data as lab_data
from bdshift.purification.methods.cut import Cut
from bdshift.purification.methods.shift_tuning import ShiftTuning
from bdshift.store import save_audit
from bdshift.triggers import parse_trigger


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """CIFAR-10's folder of pickled batches, small."""
    return cifar_folder(tmp_path)


@pytest.fixture(scope="session")
def audit(measured_audit: Audit, victim_material: Material) -> Audit:
    """The victim's, with TAC, one purification that helps and one that does not."""
    trigger = parse_trigger(STICKER)
    purifications = tuple(
        purify_model(measured_audit, victim_material, method, TARGET, trigger=trigger)
        for method in (ShiftTuning(epochs=2, batch=32), Cut(neurons="3"))
    )
    return dataclasses.replace(measured_audit, purifications=purifications)


@pytest.fixture
def saved(audit: Audit, tmp_path: Path) -> Path:
    """That audit in a file."""
    save_audit(audit, tmp_path / "purified.h5")
    return tmp_path / "purified.h5"


@pytest.fixture
def tiny_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few signs, drawn in this process."""

    def few(seed: int, job: object) -> lab_data.LabData:
        taught = draw_signs(24, seed=seed, split="train")
        return lab_data.LabData(*taught, *draw_signs(6, seed=seed, split="test"), CLASSES)

    monkeypatch.setattr(lab_data, "_load_signs", few)
