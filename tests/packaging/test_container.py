"""The image of ``packaging/Containerfile``, without network, without root, its files read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
OWNER = os.getuid() or 10001
"""Who calls; for root, the user that the image has."""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with ``folder`` as its working folder."""
    caller = ["--userns", "keep-id", "--user", f"{os.getuid()}:{os.getgid()}"]
    same_user = caller if os.getuid() else []
    return subprocess.run(
        ["podman", "run", "--rm", "--network", "none", "--read-only", *same_user,
         "--volume", f"{folder}:/work", "localhost/bdshift", *arguments],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    look = ["podman", "image", "exists", "localhost/bdshift"]
    if shutil.which("podman") is None or subprocess.run(look).returncode:
        pytest.skip("not built: podman build -t bdshift -f packaging/Containerfile .")
    made = tmp_path_factory.mktemp("container")
    os.chown(made, OWNER, -1)
    return made


def test_the_demo_then_a_scan_and_its_report(folder: Path) -> None:
    demo = run(folder, "demo", "--out", "demo")
    assert demo.returncode == 0, demo.stderr
    assert demo.stdout.startswith("PROBABLY BACKDOORED\nClass 9 “speed_80”")
    scan = run(folder, "scan", "demo/victim.pth", "demo/clean", "--quick", "--out", "audit.h5")
    assert scan.returncode == 0, scan.stderr
    assert "Traceback" not in scan.stderr
    assert (folder / "audit.h5").stat().st_uid == OWNER
    report = run(folder, "report", "audit.h5", "--out", "report.html")
    assert (report.returncode, report.stderr) == (0, "")
    assert "speed_80" in (folder / "report.html").read_text(encoding="utf-8")
