"""What most tests share: two small models, their audits, a clean set of drawn signs on disk."""

from __future__ import annotations

import gc
import os
import shutil
import sys

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # each process would compile torch again
    sys.dont_write_bytecode = False
if "PYTEST_XDIST_WORKER" in os.environ:  # each process of several has a core of its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", ".hypothesis")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["BDSHIFT_CONFIG"] = os.devnull  # defaults of whoever runs the tests

from pathlib import Path

import pytest
from known import PER_CLASS, SIGNS, STICKER, TARGET

from bdshift.audit import Audit, Material, ScanSettings, add_tac, scan_opened
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.images.collection import open_images
from bdshift.images.signs import write_signs
from bdshift.triggers import parse_trigger

MODELS = Path(__file__).parent / "data"


def pytest_collection_finish() -> None:
    """What is imported stays, so that no garbage collection needs to look at it: half a second each
    time, and the tests of the window collect after every one.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def victim() -> Path:
    """A model with the backdoor of the demo's, of half its width, which takes a third of the time;
    its sticker sends signs to ``speed_80``. Made by ``make test-victims``.
    """
    return MODELS / "victim.pth"


@pytest.fixture(scope="session")
def clean_twin() -> Path:
    """The same training without the backdoor."""
    return MODELS / "clean-twin.pth"


@pytest.fixture(scope="session")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 classes with a few drawn signs each."""
    folder = tmp_path_factory.mktemp("signs") / "clean"
    write_signs(folder, PER_CLASS, seed=3)
    return folder


@pytest.fixture(scope="session")
def few_signs(signs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen of each of them, for tests in which a scan is only the way to something."""
    folder = tmp_path_factory.mktemp("few_signs") / "clean"
    for path in signs.glob("*/00[01][0-9].png"):
        if int(path.stem) < 12:
            (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.parent.name)
    return folder


@pytest.fixture(scope="session")
def victim_scan(victim: Path, signs: Path) -> tuple[Audit, Material]:
    """The scan of the victim with all of `signs`, and what it was made of."""
    return scan_opened(open_checkpoint(victim), open_images(signs), ScanSettings(sample=SIGNS))


@pytest.fixture(scope="session")
def victim_audit(victim_scan: tuple[Audit, Material]) -> Audit:
    """The audit of that scan."""
    return victim_scan[0]


@pytest.fixture(scope="session")
def victim_material(victim_scan: tuple[Audit, Material]) -> Material:
    """The victim and the signs, open."""
    return victim_scan[1]


@pytest.fixture(scope="session")
def measured_audit(victim_scan: tuple[Audit, Material]) -> Audit:
    """The victim's audit with TAC under its sticker."""
    return add_tac(*victim_scan, parse_trigger(STICKER), TARGET)
