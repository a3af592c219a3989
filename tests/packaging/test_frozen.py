"""The programs that ``make package`` made, on a system without anything of bdshift's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import bdshift
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ROOT / "build" / "package" / "bdshift"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS.is_dir(), reason="not built: make package"),
]


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the programs in an empty home, without Python or PATH to find one."""
    return subprocess.run(
        [PROGRAMS / program, *arguments], capture_output=True, text=True, cwd=folder, timeout=600,
        env={"HOME": str(folder), "LANG": "C.UTF-8", "QT_QPA_PLATFORM": "offscreen",
             "OMP_NUM_THREADS": "2"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    done = run(folder, "bdshift", "demo", "--out", "demo")
    assert done.returncode == 0
    assert done.stdout.startswith("PROBABLY BACKDOORED\nClass 9 “speed_80”")
    said = done.stderr.splitlines()
    assert said[0] == "Drawing signs: 1,200 images"
    assert [line for line in said if "arning" in line or "Traceback" in line] == []
    return folder


def test_the_demo_and_what_can_be_done_with_its_audit(demo: Path) -> None:
    written = run(demo, "bdshift", "report", "demo/victim.h5", "--out", "report.html")
    assert (written.returncode, written.stderr) == (0, "")
    assert "speed_80" in (demo / "report.html").read_text(encoding="utf-8")
    pdf = run(demo, "bdshift-gui", "demo/victim.h5", "--pdf", "report.pdf")
    assert (pdf.returncode, pdf.stderr) == (0, "")
    assert (demo / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_everything_registered_is_in_it(demo: Path) -> None:
    shown = run(demo, "bdshift", "settings", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert json.loads(shown.stdout) == json.loads(bdshift("settings", "--json").stdout)


def test_a_fleet_starts_its_processes(demo: Path) -> None:
    (demo / "models").mkdir()
    shutil.copy(demo / "demo" / "victim.pth", demo / "models")
    done = run(
        demo, "bdshift", "fleet", "models", "--images", "demo/clean", "--out", "out", "--quick",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Probably backdoored: 1" in done.stdout + done.stderr


def test_what_it_lacks_is_not_said_to_be_installable(demo: Path) -> None:
    (demo / "a.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    done = run(demo, "bdshift", "scan", "demo/victim.pth", "a.parquet")
    assert done.returncode == 3
    assert "install bdshift with Python, since this program cannot be extended" in done.stderr
    assert 'pip install "pyarrow' in done.stderr


def test_the_window_shows_the_demo(demo: Path) -> None:
    code = Path(__file__).with_name("frozen_window.py").read_text(encoding="utf-8")
    done = run(demo, "bdshift-gui", "-c", code)
    assert done.returncode == 0, done.stderr
    said = set(done.stderr.splitlines())
    assert said <= {"This plugin does not support propagateSizeHints()"}, "of Qt without a screen"
    assert done.stdout == "backdoored\n"
    with Image.open(demo / "window.png") as picture:
        assert picture.width >= 800
        assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 500
