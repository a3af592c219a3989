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
from commands import bdshift
from known import STICKER, TARGET
from purified import same_weights, weights_of

from bdshift.audit import Audit, Purification, ScanSettings, scan
from bdshift.audit.comparison import compare
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.purification import METHODS
from bdshift.reports.comparison_report import compared_text
from bdshift.reports.html_report import html_report
from bdshift.store import load_audit, save_audit

KILLS = int(os.environ.get("BDSHIFT_KILLS", "1"))


def test_the_command_purifies_reports_and_says_where_it_came_from(
    victim_audit: Audit, tmp_path: Path
) -> None:
    file, out = tmp_path / "a.h5", tmp_path / "purified.pth"
    save_audit(victim_audit, file)
    given = ["purify", file, "--out", out, "--method", "shift-tuning:epochs=1", "--trigger",
             STICKER, "--held-out", 0.3]  # fmt: skip
    found = bdshift(*given, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(out.with_name("purified.pth.json").read_text())
    assert told == json.loads(found.stdout)
    assert told["source"]["sha256"] == victim_audit.model.sha256
    assert told["target"] == {"index": TARGET, "name": "speed_80"}
    assert told["held_out"] == 0.3
    assert told["before"]["asr"] > 0.99
    assert told["der"] == pytest.approx(
        (max(0, told["before"]["asr"] - told["after"]["asr"])
         - max(0, told["before"]["acc"] - told["after"]["acc"]) + 1) / 2
    )  # fmt: skip
    assert "asr" in told["steps"][0]
    assert open_checkpoint(out).file.sha256 == told["export"]["sha256"]
    assert told["export"]["form"] == "original"
    assert told["export"]["bytes"] == out.stat().st_size
    assert set(told["export"]) == {"form", "sha256", "bytes", "logit_difference", "keeps_code"}
    kept = load_audit(file)
    method = METHODS.parse("shift-tuning:epochs=1").spec
    assert [made.result.method for made in kept.purifications] == [method]
    again = bdshift(*given)
    assert again.exit_code == 2
    assert "--overwrite" in again.output
    beside = bdshift("export", file, "--run", "1", "--out", tmp_path / "again.pth")
    assert beside.exit_code == 0, beside.output
    assert same_weights(
        open_checkpoint(out).state.load(), open_checkpoint(tmp_path / "again.pth").state.load()
    )
    assert bdshift("export", file, "--run", "2", "--out", tmp_path / "none.pth").exit_code == 2


def test_compare_as_a_command(audit: Audit, saved: Path) -> None:
    table = bdshift("compare", saved)
    assert table.exit_code == 0, table.output
    assert [line.split()[1].partition(":")[0] for line in table.output.splitlines()[1:]] == [
        "original", "shift-tuning", "cut",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(bdshift("compare", saved, "--csv").output)))
    assert float(rows[1]["der"]) > 0.5 + float(rows[2]["der"]) - 0.6
    told = json.loads(bdshift("compare", saved, "--json").output)["models"]
    assert told[1]["asr"] == audit.purifications[0].after.asr
    assert list(told[1]) == list(rows[1])
    two = bdshift("compare", saved, "0", "1")
    assert two.output.rstrip() == compared_text(compare(audit, 0, 1))
    assert "now correct" in two.output
    assert "DER" in two.output
    assert bdshift("compare", saved, "0").exit_code == 2
    assert bdshift("compare", saved, "0", "9").exit_code == 2


def test_the_report_tells_before_and_after(audit: Audit, saved: Path, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    assert bdshift("report", saved, "--out", page, "--run", "1").exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "After purification" in text
    assert audit.purifications[0].result.method in text
    assert text.count("<svg") == 4, "bars and scatter, before and after"
    assert "<script" not in text
    assert "After purification" not in html_report(audit, run=0)
    assert audit.purifications[1].result.method in html_report(audit), "the last by default"
    assert "浄化" in html_report(audit, "ja")
    assert bdshift("report", saved, "--out", page).exit_code == 2, "an existing file is kept"
    told = tmp_path / "a.json"
    assert bdshift("report", saved, "--out", told).exit_code == 0
    assert [made["method"] for made in json.loads(told.read_text())["purifications"]] == [
        made.result.method for made in audit.purifications
    ]


def test_a_purification_made_meanwhile_is_not_lost(
    audit: Audit, victim_audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.h5"
    save_audit(victim_audit, file)
    first, second = audit.purifications

    def meanwhile(*given: object, **settings: object) -> Purification:
        save_audit(dataclasses.replace(victim_audit, purifications=(first,)), file)
        return second

    monkeypatch.setattr("bdshift.steps.purify.purify_model", meanwhile)
    found = bdshift("purify", file, "--out", tmp_path / "o.pth", "--method", "cut")
    assert found.exit_code == 0, found.output
    assert [made.result.method for made in load_audit(file).purifications] == [
        first.result.method, second.result.method,
    ]  # fmt: skip


def test_what_is_read_is_never_replaced(saved: Path, tmp_path: Path) -> None:
    before = saved.read_bytes()
    for given in (
        ("export", saved, "--run", "1", "--out", saved),
        ("report", saved, "--out", saved),
        ("purify", saved, "--method", "cut", "--out", saved),
    ):
        found = bdshift(*given, "--overwrite")
        assert found.exit_code == 2, given
        assert "is an input, and is not replaced" in found.output
    assert saved.read_bytes() == before
    found = bdshift("export", saved, "--run", "1", "--out", tmp_path / "no" / "x.pth")
    assert found.exit_code == 3
    assert "no such folder" in found.output


def test_words_of_a_file_do_nothing_to_a_terminal(audit: Audit, tmp_path: Path) -> None:
    made = audit.purifications[0]
    evil = dataclasses.replace(made.result, method="cut:\x1b]0;owned\x07\u202e")
    purifications = (dataclasses.replace(made, result=evil),)
    save_audit(dataclasses.replace(audit, purifications=purifications), tmp_path / "a.h5")
    for form in ((), ("--csv",), ("--json",), ("0", "1")):
        said = bdshift("compare", tmp_path / "a.h5", *form).output
        assert said
        assert "\x1b" not in said
        assert "\u202e" not in said


def test_wrong_use_is_said(tmp_path: Path, clean_twin: Path, signs: Path) -> None:
    def purify(*given: object) -> tuple[int, str]:
        found = bdshift("purify", *given, "--out", tmp_path / "o.pth")
        return found.exit_code, found.output

    code, said = purify(clean_twin, signs, "--quick")
    assert code == 2
    assert "no class is suspected" in said
    assert purify("a", "b", "c")[0] == 2
    code, said = purify("a.h5", "--method", "magic")
    assert (code, "method 'magic'" in said) == (2, True)
    code, said = purify("a.h5", "--method", "cut:ranking=tac")
    assert (code, "ranking is one of shift, weights, activation" in said) == (2, True)
    code, said = purify("a.h5", "--format", "magic")
    assert (code, "'magic' is not one of 'original'" in said) == (2, True)
    assert purify("nowhere.h5")[0] == 3


def test_killed_at_any_moment_nothing_is_lost(victim: Path, signs: Path, tmp_path: Path) -> None:
    """SIGKILL the command at random moments, and let the same command go on: as if nothing had
    been. ``BDSHIFT_KILLS=20`` does it twenty times.
    """
    files = [tmp_path / f"{name}.h5" for name in ("whole", "killed")]
    audit = scan(victim, signs, ScanSettings(sample=96, normalize="half"))
    for file in files:
        save_audit(audit, file)

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
        for _ in range(6000):  # until a step is done, and a bit more
            if running.poll() is not None or (state.exists() and state.stat().st_mtime > before):
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        running.send_signal(signal.SIGKILL)
        running.wait()
        if (tmp_path / "killed.pth").exists():
            break
        assert not load_audit(files[1]).purifications
    written = (tmp_path / "killed.pth.json").exists() and not state.exists()
    said = "Resuming" if written else run("killed")
    assert "Resuming" in said
    assert not state.exists()
    for part in tmp_path.glob(".*.part"):  # of a writer that was killed after it gave the name
        assert part.samefile(tmp_path / "killed.pth") or KILLS > 2
    [whole], [killed] = (load_audit(file).purifications for file in files)
    assert same_weights(weights_of(whole), weights_of(killed))
    assert [row.step for row in whole.result.rows] == [row.step for row in killed.result.rows]
    a, b = (open_checkpoint(tmp_path / f"{name}.pth") for name in ("whole", "killed"))
    assert same_weights(a.state.load(), b.state.load())
