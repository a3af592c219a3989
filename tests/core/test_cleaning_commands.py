"""Purify, compare and report as commands; a purification that is killed."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from purified import of, same

from bdshift.audit import Audit, Cleaned
from bdshift.audit.comparison import compare
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.cli import main
from bdshift.purify import parse_method
from bdshift.report.comparison_report import compared_text
from bdshift.report.html_report import html_report
from bdshift.store import load_audit, save_audit

STICKER = "badnets:size=4,color=ffd800,row=20,column=14"
TARGET = 9
KILLS = int(os.environ.get("BDSHIFT_KILLS", "1"))


def call(*given: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in given])


def test_the_command_cleans_reports_and_says_where_it_came_from(
    victim_audit: Audit, tmp_path: Path
) -> None:
    file, out = tmp_path / "a.h5", tmp_path / "cleaned.pth"
    save_audit(victim_audit, file)
    given = ["purify", file, "--out", out, "--method", "shift-tuning:epochs=1", "--trigger",
             STICKER]  # fmt: skip
    found = call(*given, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(out.with_name("cleaned.pth.json").read_text())
    assert told["source"]["sha256"] == victim_audit.model.sha256
    assert told["target"] == {"index": TARGET, "name": "speed_80"}
    assert told["before"]["asr"] > 0.99
    assert told["der"] == pytest.approx(
        (max(0, told["before"]["asr"] - told["after"]["asr"])
         - max(0, told["before"]["acc"] - told["after"]["acc"]) + 1) / 2
    )  # fmt: skip
    assert "asr" in told["steps"][0]
    assert open_checkpoint(out).file.sha256 == told["export"]["sha256"]
    kept = load_audit(file)
    assert [run.run.method for run in kept.runs] == [parse_method("shift-tuning:epochs=1").spec]
    again = call(*given)
    assert again.exit_code == 2
    assert "--overwrite" in again.output
    beside = call("export", file, "--run", "1", "--out", tmp_path / "again.pth")
    assert beside.exit_code == 0, beside.output
    assert same(
        open_checkpoint(out).state.load(), open_checkpoint(tmp_path / "again.pth").state.load()
    )
    assert call("export", file, "--run", "2", "--out", tmp_path / "none.pth").exit_code == 2


def test_compare_as_a_command(audit: Audit, saved: Path) -> None:
    table = call("compare", saved)
    assert table.exit_code == 0, table.output
    assert [line.split()[1].partition(":")[0] for line in table.output.splitlines()[1:]] == [
        "original", "shift-tuning", "cut",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(call("compare", saved, "--csv").output)))
    assert float(rows[1]["der"]) > 0.5 + float(rows[2]["der"]) - 0.6
    assert json.loads(call("compare", saved, "--json").output)[1]["asr"] == audit.runs[0].after.asr
    two = call("compare", saved, "0", "1")
    assert two.output.rstrip() == compared_text(compare(audit, 0, 1))
    assert "now right" in two.output
    assert "DER" in two.output
    assert call("compare", saved, "0").exit_code == 2
    assert call("compare", saved, "0", "9").exit_code == 2


def test_the_report_tells_before_and_after(audit: Audit, saved: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    assert call("report", saved, "--out", page, "--run", "1").exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "After purification" in text
    assert audit.runs[0].run.method in text
    assert text.count("<svg") == 4, "bars and scatter, before and after"
    assert "<script" not in text
    assert "After purification" not in html_report(audit, run=0)
    assert audit.runs[1].run.method in html_report(audit), "the last by default"
    assert "浄化" in html_report(audit, "ja")
    assert call("report", saved, "--out", page).exit_code == 2, "an existing file is kept"
    told = tmp_path / "a.json"
    assert call("report", saved, "--out", told).exit_code == 0
    assert [run["method"] for run in json.loads(told.read_text())["runs"]] == [
        one.run.method for one in audit.runs
    ]


def test_a_purification_made_meanwhile_is_not_lost(
    audit: Audit, victim_audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.h5"
    save_audit(victim_audit, file)

    def meanwhile(*given: object, **settings: object) -> Cleaned:
        save_audit(dataclasses.replace(victim_audit, runs=audit.runs[:1]), file)
        return audit.runs[1]

    monkeypatch.setattr("bdshift.audit.cleaning.clean_model", meanwhile)
    found = call("purify", file, "--out", tmp_path / "o.pth", "--method", "cut")
    assert found.exit_code == 0, found.output
    assert [run.run.method for run in load_audit(file).runs] == [
        run.run.method for run in audit.runs
    ]


def test_what_is_read_is_never_replaced(saved: Path, victim: Path, tmp_path: Path) -> None:
    before = saved.read_bytes()
    for given in (
        ("export", saved, "--run", "1", "--out", saved),
        ("report", saved, "--out", saved),
        ("purify", saved, "--method", "cut", "--out", saved),
    ):
        found = call(*given, "--overwrite")
        assert found.exit_code == 2, given
        assert "is what is read" in found.output
    assert saved.read_bytes() == before
    found = call("export", saved, "--run", "1", "--out", tmp_path / "no" / "x.pth")
    assert found.exit_code == 3
    assert "no such folder" in found.output


def test_words_of_a_file_do_nothing_to_a_terminal(audit: Audit, tmp_path: Path) -> None:
    run = audit.runs[0]
    evil = dataclasses.replace(run.run, method="cut:\x1b]0;owned\x07\u202e")
    save_audit(
        dataclasses.replace(audit, runs=(dataclasses.replace(run, run=evil),)), tmp_path / "a.h5"
    )
    for form in ((), ("--csv",), ("--json",), ("0", "1")):
        said = call("compare", tmp_path / "a.h5", *form).output
        assert said
        assert "\x1b" not in said
        assert "\u202e" not in said


def test_wrong_use_is_said(tmp_path: Path, clean_twin: Path, signs: Path) -> None:
    def run(*given: object) -> tuple[int, str]:
        found = call("purify", *given, "--out", tmp_path / "o.pth")
        return found.exit_code, found.output

    code, said = run(clean_twin, signs)
    assert code == 2
    assert "no class is flagged" in said
    assert run("a", "b", "c")[0] == 2
    code, said = run("a.h5", "--method", "magic")
    assert (code, "method 'magic' is not known" in said) == (2, True)
    code, said = run("a.h5", "--method", "cut:ranking=tac")
    assert (code, "ranking is one of" in said) == (2, True)
    assert run("nowhere.h5")[0] == 3


def test_killed_at_any_moment_nothing_is_lost(victim_audit: Audit, tmp_path: Path) -> None:
    """SIGKILL the command at random moments, and let the same command go on: as if nothing had
    been. ``BDSHIFT_KILLS=20`` does it twenty times.
    """
    files = [tmp_path / f"{name}.h5" for name in ("whole", "killed")]
    for file in files:
        save_audit(victim_audit, file)

    def command(name: str) -> list[str]:
        return [
            sys.executable, "-m", "bdshift", "purify", str(tmp_path / f"{name}.h5"), "--method",
            f"fine-tuning:epochs={max(4, KILLS)}", "--out", str(tmp_path / f"{name}.pth"),
        ]  # fmt: skip

    def run(name: str) -> str:
        done = subprocess.run(command(name), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    run("whole")
    state, rng = tmp_path / "killed.pth.state", random.Random(0)
    for _ in range(KILLS):
        before = state.stat().st_mtime if state.exists() else 0.0
        running = subprocess.Popen(
            command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while time.monotonic() < end and running.poll() is None:  # a step gone, and a bit more
            if state.exists() and state.stat().st_mtime > before:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        running.send_signal(signal.SIGKILL)
        running.wait()
        if (tmp_path / "killed.pth").exists():
            break
        assert not load_audit(files[1]).runs
    said = run("killed") if not (tmp_path / "killed.pth.json").exists() else "Going on"
    assert "Going on" in said
    assert not state.exists()
    assert not list(tmp_path.glob(".*.part")) or KILLS > 2  # of a writer that was killed
    whole, killed = (load_audit(file) for file in files)
    assert same(of(whole.runs[0]), of(killed.runs[0]))
    assert [row.step for row in whole.runs[0].run.rows] == [
        row.step for row in killed.runs[0].run.rows
    ]
    a, b = (open_checkpoint(tmp_path / f"{name}.pth") for name in ("whole", "killed"))
    assert same(a.state.load(), b.state.load())
