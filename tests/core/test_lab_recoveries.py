"""A recovered trigger is compared with the true one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import bdshift
from known import STICKER, TARGET
from recovered import made_recovery, sticker_params

from bdshift.audit import Audit, Material, with_recovery
from bdshift.errors import InputError
from bdshift.lab.recoveries import (
    read_recoveries,
    recovery_row,
    true_trigger,
    write_recoveries,
)
from bdshift.lab.truths import KnownModel
from bdshift.neurons.rankings import cosine, data_free_direction
from bdshift.store import save_audit


@pytest.fixture
def model(victim: Path, signs: Path) -> KnownModel:
    """The demo's victim, with another trigger for another class."""
    return KnownModel(
        "demo", victim, signs, "demo-0", "resnet18", "two targets", (3, TARGET),
        triggers=("sig", STICKER),
    )  # fmt: skip


def test_the_true_trigger_agrees_with_itself(
    model: KnownModel, measured_audit: Audit, victim_material: Material
) -> None:
    row = recovery_row(model, measured_audit, victim_material, made_recovery(measured_audit))
    assert (row.change, row.size, row.control) == ("mask", "16", "160")
    assert float(row.drop) == pytest.approx(2.303, abs=1e-3)
    assert (row.asr, row.transfer, row.seconds) == ("0.99", "0.97", "4.2")
    assert float(row.true_asr) == pytest.approx(measured_audit.tac[0].asr, abs=1e-4)
    assert float(row.cosine) == pytest.approx(1)
    assert float(row.picture) > 0.99
    assert float(row.place) > 0.99
    change, shift = measured_audit.tac[0].change, np.abs(measured_audit.shifts.shift[TARGET])
    free = np.abs(data_free_direction(measured_audit.model.weight, TARGET))
    assert float(row.shift_cosine) == pytest.approx(cosine(shift, change), abs=1e-4)
    assert float(row.free_cosine) == pytest.approx(cosine(free, change), abs=1e-4)
    assert 0.5 < float(row.shift_cosine) < 1


def test_a_patch_somewhere_else_does_not(
    model: KnownModel, measured_audit: Audit, victim_material: Material
) -> None:
    params = sticker_params()
    moved = {**params, "mask": params["mask"].roll(-12, 1)}
    found = made_recovery(measured_audit, params=moved)
    row = recovery_row(model, measured_audit, victim_material, found)
    assert abs(float(row.picture)) < 0.01
    assert float(row.place) < 0.01
    blue = {**params, "pattern": -params["pattern"]}
    row = recovery_row(
        model, measured_audit, victim_material, made_recovery(measured_audit, params=blue)
    )
    assert float(row.place) > 0.8 > float(row.picture)


def test_what_cannot_be_compared_is_left_empty(
    model: KnownModel, measured_audit: Audit, victim_material: Material, tmp_path: Path
) -> None:
    clean = replace(model, kind="clean", targets=(), triggers=())
    row = recovery_row(clean, measured_audit, victim_material, made_recovery(measured_audit))
    assert (row.true_asr, row.cosine, row.picture) == ("", "", "")
    assert row.asr == "0.99"
    assert true_trigger(model, 5) is None
    write_recoveries(tmp_path / "r.csv", [row, replace(row, seed="1")])
    assert read_recoveries(tmp_path / "r.csv") == [row, replace(row, seed="1")]
    (tmp_path / "r.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="something else than rows of recoveries"):
        read_recoveries(tmp_path / "r.csv")
    assert read_recoveries(tmp_path / "none.csv") == []


def test_recoveries_in_audits_as_a_command(
    measured_audit: Audit, victim: Path, signs: Path, tmp_path: Path
) -> None:
    (tmp_path / "TRUTH.tsv").write_text(
        "file\trepository\tkind\timages\ttarget\n"
        f"{victim}\tours\tbackdoored\tsigns\t{TARGET}\n"
        f"gone.pth\tours\tclean\tsigns\t-\n"
    )
    found = [made_recovery(measured_audit), made_recovery(measured_audit, target=3, source=2)]
    audit = with_recovery(with_recovery(measured_audit, found[0]), found[1])
    save_audit(audit, tmp_path / "victim.pth-480-0.h5")
    command = (
        "lab", "recoveries", tmp_path / "r.csv", "--truth", tmp_path / "TRUTH.tsv", "--images",
        f"signs={signs}", "--work", tmp_path, "--sample", 480,
    )  # fmt: skip
    result = bdshift(*command)
    assert result.exit_code == 0, result.output
    assert f"victim.pth, class {TARGET}, mask: ASR 0.99" in result.stderr
    rows = read_recoveries(tmp_path / "r.csv")
    assert [(row.target, row.source) for row in rows] == [(str(TARGET), ""), ("3", "2")]
    before = (tmp_path / "r.csv").stat().st_mtime_ns
    assert "2 recoveries" in bdshift(*command).stdout
    assert (tmp_path / "r.csv").stat().st_mtime_ns == before
