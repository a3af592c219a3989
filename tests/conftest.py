"""What most tests share: the demo's models, and a small clean set of drawn signs on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bdshift.assets import asset
from bdshift.audit import Audit, ScanSettings, scan
from bdshift.devices import be_polite
from bdshift.images.signs import write_signs

be_polite()
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", ".hypothesis")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def victim() -> Path:
    """The demo's backdoored model; its sticker sends signs to ``speed_80``."""
    return asset("demo/victim.pth")


@pytest.fixture(scope="session")
def clean_twin() -> Path:
    """The same training without the backdoor."""
    return asset("demo/clean-twin.pth")


@pytest.fixture(scope="session")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 classes with 40 drawn signs each."""
    folder = tmp_path_factory.mktemp("signs") / "clean"
    write_signs(folder, 40, seed=3)
    return folder


@pytest.fixture(scope="session")
def victim_audit(victim: Path, signs: Path) -> Audit:
    """The scan of the victim with all of `signs`."""
    return scan(victim, signs, ScanSettings(sample=480))
