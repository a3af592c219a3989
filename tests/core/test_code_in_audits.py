"""An audit file names code wherever it can; none of it is ever imported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from audit_files import change, describe, description
from commands import bdshift, one_line

from bdshift.audit import Audit, ScanSettings, reopen, scan
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.users_own import OwnNetwork, typed
from bdshift.errors import InputError, UsageError
from bdshift.store import load_audit, save_audit

CODE = "ResNet18:CIFAR"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a module that leaves a mark; the path of the mark."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "ResNet18.py").write_text("open('ran', 'w').close()\nCIFAR = None\n")
    monkeypatch.chdir(folder)
    return folder / "ran"


def _forged(audit: Audit, path: Path, edit: Callable[[dict[str, Any]], Any]) -> Path:
    """An audit file whose description was edited."""
    save_audit(audit, path)
    found = description(path)
    edit(found)
    describe(path, found)
    return path


def _everywhere(found: dict[str, Any]) -> None:
    found["settings"]["arch"] = CODE
    found["model"]["architecture"] = CODE
    for trial in found["trials"]:
        trial["architecture"] = CODE


def test_no_setting_of_an_audit_file_is_code(
    victim_audit: Audit, signs: Path, victim: Path, trap: Path, tmp_path: Path
) -> None:
    audit = load_audit(_forged(victim_audit, tmp_path / "a.h5", _everywhere))
    assert audit.settings.arch == CODE
    for settings in (audit.settings, ScanSettings(arch=audit.trials[0].architecture)):
        with pytest.raises(UsageError, match="what fits is ResNet-18"):
            scan(victim, signs, replace(settings, sample=60))
    with pytest.raises(InputError, match=f"no longer recognized as {CODE}"):
        reopen(audit, arch=audit.settings.arch)
    with pytest.raises(UsageError, match="what fits is ResNet-18"):
        open_checkpoint(victim, arch=audit.model.architecture)
    assert not trap.exists()
    assert "ResNet18" not in sys.modules


def test_an_audit_file_cannot_hold_a_network_of_the_users_own(
    victim_audit: Audit, tmp_path: Path
) -> None:
    for forged in ({"spec": CODE}, [CODE], {"template": CODE, "values": {}, "text": CODE}):
        save_audit(victim_audit, tmp_path / "a.h5")
        change(tmp_path / "a.h5", "settings", "arch", value=forged)
        with pytest.raises(InputError, match="is damaged"):
            load_audit(tmp_path / "a.h5")


def test_what_the_user_typed_is_a_name_once_it_was_in_a_file(
    victim_audit: Audit, tmp_path: Path
) -> None:
    asked = replace(victim_audit.settings, arch=OwnNetwork("my_nets:Net"))
    save_audit(replace(victim_audit, settings=asked), tmp_path / "a.h5")
    assert load_audit(tmp_path / "a.h5").settings.arch == "my_nets:Net"


def test_only_what_is_typed_is_code(victim: Path, trap: Path) -> None:
    assert typed(CODE) == OwnNetwork(CODE)
    assert typed("ResNet-18, width 16: 3×3 stem") == "ResNet-18, width 16: 3×3 stem"
    one_line(bdshift("info", victim, "--arch", CODE), 2, "calling it failed")
    assert trap.exists(), "the user asked for it"
    sys.modules.pop("ResNet18")
