"""What tests of the library share beside tests/conftest.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from image_set_files import cifar_folder

from bdshift.audit import Audit, add_tac, reopen
from bdshift.audit.cleaning import clean_model
from bdshift.purify import Cut, ShiftTuning
from bdshift.store import save_audit
from bdshift.triggers import parse_trigger

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"
TARGET = 9


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """CIFAR-10's folder of pickled batches, small."""
    return cifar_folder(tmp_path)


@pytest.fixture(scope="session")
def audit(victim_audit: Audit) -> Audit:
    """The victim's, with TAC, one purification that helps and one that does not."""
    classifier, clean = reopen(victim_audit)
    trigger = parse_trigger(STICKER)
    found = add_tac(victim_audit, classifier, clean, trigger, TARGET)
    runs = tuple(
        clean_model(found, method, TARGET, trigger=trigger)
        for method in (ShiftTuning(epochs=2, batch=32), Cut(neurons="3"))
    )
    return dataclasses.replace(found, runs=runs)


@pytest.fixture
def saved(audit: Audit, tmp_path: Path) -> Path:
    save_audit(audit, tmp_path / "runs.h5")
    return tmp_path / "runs.h5"
