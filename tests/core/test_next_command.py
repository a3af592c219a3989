"""The line to paste that a command ends with."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from matrix import MATRIX
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.audit.asked import AskedScan
from bdshift.cli.next_command import after_purification, after_recovery, after_scan, command_line


@pytest.fixture(autouse=True)
def _found_by_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert command_line("demo", "a b") == "bdshift demo 'a b'"
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(sys, "argv", [".venv/bin/bdshift", "demo"])
    assert command_line("demo") == ".venv/bin/bdshift demo"
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert command_line("demo") == "bdshift demo"


def test_a_name_cannot_begin_a_line() -> None:
    assert "\n" not in command_line("report", "a\nbdshift.h5")


def test_after_a_scan(victim_audit: Audit) -> None:
    file = Path("a b.h5")
    assert after_scan(victim_audit, AskedScan(), file) == (
        "Next: recover the trigger, to see what the model reacts to. bdshift recover 'a b.h5'"
    )
    quiet, *_ = MATRIX["nothing unusual"]
    for asked, without in (
        (AskedScan(quick=True), "--quick"),
        (AskedScan(detectors=("shift",)), "--detector"),
    ):
        said = after_scan(quiet(victim_audit), asked, file)
        assert said.endswith(f"That is this command without {without}, and with --overwrite.")


def test_after_a_scan_of_classes_in_another_order(victim_audit: Audit) -> None:
    turned, *_ = MATRIX["folders in another order"]
    said = after_scan(turned(victim_audit), AskedScan(), Path("a.h5"))
    assert said == (
        "Next: say which class is which. That is this command with --labels FILE, and with "
        "--overwrite."
    )


def test_after_a_recovery(measured_audit: Audit) -> None:
    recovery = made_recovery(measured_audit)
    audit = with_recovery(replace(measured_audit, tac=()), recovery)
    file, out = Path("a b.h5"), Path("t.safetensors")
    assert after_recovery(audit, recovery, file, None) == (
        "Next: bdshift neurons 'a b.h5' --target 9"
    )
    assert after_recovery(audit, recovery, file, out) == (
        "Next: bdshift purify 'a b.h5' --out purified.pth --trigger t.safetensors.json"
    )
    other = replace(recovery, target=3)
    assert after_recovery(audit, other, file, out).endswith(" --target 3")


def test_after_a_purification() -> None:
    assert after_purification(Path("a.h5")) == (
        "Next: write a report. bdshift report a.h5 --out report.html"
    )
