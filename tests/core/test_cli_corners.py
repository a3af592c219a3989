"""Outputs that must not replace what they are made of, options that must not be ignored, and rows
of tables that come from anyone.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import bdshift, one_line
from known import TARGET
from recovered import made_recovery

from bdshift.audit import Audit, with_recovery
from bdshift.audit.asked import AskedScan
from bdshift.cli import main
from bdshift.cli.lab_suite import _paths
from bdshift.cli.next_command import after_recovery, after_scan
from bdshift.csv_data import csv_rows, csv_text
from bdshift.errors import InputError, UsageError
from bdshift.fleet.identity import Questions
from bdshift.fleet.manifest import read_manifest
from bdshift.fleet.task import FleetModel
from bdshift.jobs import SILENT
from bdshift.outputs import Output, check_apart
from bdshift.reports.sarif import _uri
from bdshift.store import load_audit, save_audit
from bdshift.words import Sentence


def test_a_number_that_is_not_known_is_a_dash() -> None:
    assert str(Sentence("ASR {asr:.1%}", {"asr": None})) == "ASR –"


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    one, other = tmp_path / "a.html", tmp_path / "there" / ".." / "a.html"
    check_apart([Output(one), Output(tmp_path / "b.html")])
    with pytest.raises(UsageError, match=r"a\.html: is named for two outputs"):
        check_apart([Output(one), Output(other)])


def test_a_report_that_cannot_be_written_does_not_cost_the_audit(
    victim: Path, signs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, page = tmp_path / "a.h5", tmp_path / "a.html"
    given = ("scan", victim, signs, "--sample", "120", "--quick", "--out", out, "--report", page)

    def full(*_: object) -> None:
        raise InputError("no space is left")

    with monkeypatch.context() as patch:
        patch.setattr("bdshift.outputs.Output.write_text", full)
        assert bdshift(*given).exit_code == 3
    assert load_audit(out).accuracy > 0.9
    same = bdshift(*given[:-2], "--report", out, "--overwrite")
    assert same.exit_code == 2


def test_rows_of_a_table_are_read_within_its_head() -> None:
    assert csv_rows("model,p\na.pth,1\n") == [{"model": "a.pth", "p": "1"}]
    with pytest.raises(InputError, match="row 3 has more cells"):
        csv_rows("model,p\na.pth,1\nb.pth,,extra\n")
    with pytest.raises(InputError, match="cannot be read as a table"):
        csv_rows("model\n" + "x" * 200_000 + "\n")
    rows = [["name"], ["'tis.pth"], ["=cmd"], [" =cmd"], ["plain"], ["''"]]
    assert [one["name"] for one in csv_rows(csv_text(rows))] == [one for [one] in rows[1:]]
    assert csv_rows("name\n'tis.pth\n") == [{"name": "'tis.pth"}], "nobody has escaped this one"


def test_a_table_of_models_says_which_row_is_wrong(tmp_path: Path) -> None:
    table, prompts = tmp_path / "t.csv", tmp_path / "p.txt"
    prompts.write_text("a sign of {}\n")
    usual = FleetModel("", str(tmp_path), AskedScan(), None)
    table.write_text("model,prompts\na.pth,p.txt\nb.pth,cifar\n")
    found = [one.asked.prompts for one in read_manifest(table, usual)]
    assert found == [str(prompts), "cifar"]
    table.write_text("model,prompts\na.pth,,extra\n")
    with pytest.raises(InputError, match=r"t\.csv: row 2 has more cells"):
        list(read_manifest(table, usual))


def test_other_prompts_are_another_question(signs: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "p.txt"
    asked = FleetModel("m.pth", str(signs), AskedScan(prompts=str(prompts)), None)
    prompts.write_text("a sign of {}\n")
    first = Questions(SILENT).of(asked)
    assert Questions(SILENT).of(asked) == first
    prompts.write_text("a photo of {}\n")
    assert Questions(SILENT).of(asked) != first


def test_what_a_fleet_is_made_of_is_not_replaced(victim: Path, signs: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "t.csv", tmp_path / "r"
    shutil.copy(victim, tmp_path / "m.pth")
    table.write_text("model\nm.pth\n")
    fleet = ("fleet", table, "--images", signs, "--out", out, "--quick", "--workers", "1")
    refused = bdshift(*fleet, "--report", table, "--overwrite")
    assert (refused.exit_code, table.read_text()) == (2, "model\nm.pth\n")
    page = out / "t.html"
    assert bdshift(*fleet, "--report", page).exit_code == 0
    [audit] = (out / "audits").iterdir()
    assert f'href="audits/{audit.name}"' in page.read_text()
    assert bdshift(*fleet, "--report", page, "--overwrite").exit_code == 0, "kept up to date"
    outside = tmp_path / "t.html"
    assert bdshift("fleet", "--out", out, "--report", outside).exit_code == 0
    assert f'href="r/audits/{audit.name}"' in outside.read_text()
    wrong = bdshift("fleet", "--out", out, "--report", tmp_path / "bom.cdx.json")
    assert wrong.exit_code == 2
    table.write_text("model,alpha\nm.pth,0.1\nm.pth,0.3\n")
    one_line(bdshift(*fleet), 2, "is named twice")


def test_a_fleet_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    found = bdshift("fleet", "--out", tmp_path / "typo", "--fail-on", "suspicious")
    one_line(found, 3, "holds no results of a fleet")


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_a_row_too(victim: Path, signs: Path, tmp_path: Path) -> None:
    models, out = tmp_path / "m", tmp_path / "r"
    models.mkdir()
    name = os.fsdecode(b"x\xff.pth")
    try:
        shutil.copy(victim, models / name)
    except OSError:
        pytest.skip("this file system keeps only text")
    shutil.copy(victim, models / "y.pth")
    found = bdshift("fleet", models, "--images", signs, "--out", out, "--quick", "--workers", "1")
    assert found.exit_code == 0
    assert "y.pth" in found.stdout


def test_options_that_do_nothing_are_refused(victim_audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(victim_audit, path)
    for given in (
        ("compare", path, "0", "1", "--json"), ("compare", path, "--csv", "--json"),
        ("neurons", path, "--top", "0"),
    ):  # fmt: skip
        assert bdshift(*given).exit_code == 2
    with pytest.raises(UsageError, match="NAME=PATH, not 'cifar10'"):
        _paths(("cifar10",))


def test_the_next_command_works(measured_audit: Audit, tmp_path: Path) -> None:
    asked = AskedScan(quick=True)
    afar = replace(measured_audit, model=replace(measured_audit.model, path="https://x.org/m.pth"))
    assert "--model model.pth" in after_scan(afar, asked, tmp_path / "a.h5")
    assert "--model" not in after_scan(measured_audit, asked, tmp_path / "a.h5")
    sure, unsure = made_recovery(measured_audit), made_recovery(measured_audit, control=1.0)
    for recovery, step in ((sure, "purify"), (unsure, "report")):
        audit = with_recovery(measured_audit, recovery)
        line = after_recovery(audit, recovery, tmp_path / "a.h5", tmp_path / "t.safetensors")
        assert f"bdshift {step}" in line
    images = replace(measured_audit.images, labeled=False)
    unlabeled = with_recovery(replace(measured_audit, images=images), sure)
    assert "report" in after_recovery(unlabeled, sure, tmp_path / "a.h5", tmp_path / "t")
    assert sure.target == TARGET


def test_notes_that_are_no_text_are_said(victim_audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(victim_audit, path)
    found = CliRunner().invoke(main, ["note", str(path), "--notes", "-"], input=b"caf\xe9")
    one_line(found, 3, "no UTF-8 text")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="may read everything")
def test_a_file_that_may_not_be_read_is_no_damaged_one(victim_audit: Audit, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_audit(victim_audit, path)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        load_audit(path)


def test_a_place_has_one_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _uri(str(tmp_path / "sub" / ".." / "m.pth")) == "m.pth"
    assert _uri(str(tmp_path / ".." / "m.pth")).startswith("file:///")
