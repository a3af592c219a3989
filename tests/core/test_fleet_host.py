"""Audits in processes of their own: none of them takes another one with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from commands import bdshift
from known import TARGET

from bdshift.audit.asked import AskedScan
from bdshift.fleet.local import LocalEngine
from bdshift.fleet.task import FleetModel, Limits, Result, Stage, Task
from bdshift.images.collection import open_images
from bdshift.images.framing import USUAL
from bdshift.images.kept import open_kept
from bdshift.store import load_audit

ASKED = AskedScan(quick=True, sample="240", fit="crop")


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    found = LocalEngine(2)
    yield found
    found.close()


def results_of(engine: LocalEngine, count: int) -> tuple[dict[int, Result], set[int]]:
    """The results of so many tasks, each told once, and those that told what they were doing."""
    found: dict[int, Result] = {}
    staged = set()
    while len(found) < count:
        for told in engine.told(30):
            if isinstance(told.stage, Stage):
                staged.add(told.number)
            else:
                assert told.result is not None
                assert told.number not in found
                found[told.number] = told.result
    return found, staged


def test_bad_ones_take_no_other_with_them(
    engine: LocalEngine, victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.pth"
    cut.write_bytes(victim.read_bytes()[:50_000])
    usual = Limits(seconds=600)
    audit = tmp_path / "audit.h5"

    def task(number: int, path: Path, limits: Limits = usual, where: str = "") -> Task:
        return Task(number, FleetModel(str(path), str(signs), ASKED), limits, where)

    for one in (
        task(1, cut),
        task(2, clean_twin, Limits(seconds=0.05)),
        task(3, clean_twin, Limits(memory=110_000_000)),
        task(4, victim, where=str(audit)),
        task(5, tmp_path / "missing.pth"),
    ):
        engine.submit(one)
    assert engine.room < 0
    found, staged = results_of(engine, 5)
    assert {number: one.status for number, one in found.items()} == {
        1: "refused", 2: "timed-out", 3: "out-of-memory", 4: "done", 5: "refused",
    }  # fmt: skip
    good = found[4]
    assert (good.level, good.target, good.target_name) == ("backdoored", TARGET, "speed_80")
    assert len(good.norms) == good.classes == 12
    assert len(good.sketch) == 64
    assert good.memory > 50_000_000
    assert 4 in staged
    assert load_audit(audit).finding.classes == (TARGET,)
    assert load_audit(audit).embedding is None
    assert "0.102 GiB" in found[3].reason.render()
    assert "missing.pth" in found[5].reason.render()


def test_what_is_lost_is_done_again(engine: LocalEngine, victim: Path, signs: Path) -> None:
    [host] = psutil.Process().children()
    engine.submit(Task(1, FleetModel(str(victim), str(signs), ASKED), Limits()))
    while not any(told.stage for told in engine.told(30)):
        pass
    children = host.children()
    os.kill(host.pid, signal.SIGKILL)
    found, _ = results_of(engine, 1)
    assert found[1].status == "done"
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert gone
    assert not alive  # they end with their host


def test_the_command_audits_a_folder(
    victim: Path, clean_twin: Path, signs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = bdshift(
        "fleet", victim, clean_twin, "--images", signs, "--out", out, "--quick",
        "--sample", "240", "--report", tmp_path / "t.csv", "--fail-on", "suspicious",
    )  # fmt: skip
    assert result.exit_code == 1
    assert result.stdout.startswith("Probably backdoored: 1 · Nothing unusual found: 1")
    first, second = (tmp_path / "t.csv").read_text().splitlines()[1:]
    assert first.startswith(f"{victim},")
    assert second.startswith(f"{clean_twin},")
    [audit] = [one for one in (out / "audits").iterdir() if one.name.startswith("victim.pth-")]
    assert load_audit(audit).finding.classes == (TARGET,)


def test_what_is_kept_is_what_would_be_decoded(signs: Path) -> None:
    kept, plain = open_kept(signs), open_images(signs)
    first, second = plain.files[:2]
    kept.keep(32, USUAL, [first.name, "no such file"])
    for file in (first, second):
        pixels, digest = kept.pixels(file, 32, USUAL)
        expected, its = plain.pixels(file, 32, USUAL)
        assert (pixels == expected).all()
        assert digest == its == kept.digest(file)
    assert kept.missed == {(32, USUAL): {second.name}}
