"""What waits for a GPU: a dry run of every kind of step, resuming, the time limit, pieces."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from crew_steps import no_steps, steps_in
from quick import shorten_searches

from bdshift.detect.detector import DETECTORS
from bdshift.jobs import Canceled, JobContext
from bdshift.lab.trojan import TrojanPatch
from bdshift.purification import METHODS
from tools.gpu import pages as gpu_pages
from tools.gpu import papers as gpu_papers
from tools.gpu import pieces as gpu_pieces
from tools.gpu import run as gpu_run
from tools.gpu import steps as gpu_steps
from tools.gpu.crew import Processes
from tools.gpu.plan import Plan, brief
from tools.gpu.steps import Alone, Ledger, TimedJob, WorkStep, carry_out
from tools.gpu.training import pays


class Time:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def plan_in(folder: Path, victim: Path) -> Plan:
    return gpu_run.photos_of_signs(Plan(folder, victim=victim, dry=True, device="cpu"))


def test_a_dry_run_of_everything(
    victim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_searches(monkeypatch)
    monkeypatch.setattr("bdshift.lab.trojan.TrojanPatch", partial(TrojanPatch, steps=3))
    plan = plan_in(tmp_path / "work", victim)
    steps = gpu_run.all_steps(plan)
    text = gpu_run.perform(plan, (), 1000, 1, clock=Time())
    assert "failed:" not in text, text
    assert [one.name for one in steps if not one.is_done] == []
    stages = ["checks", "images", "papers", "rates", "resnet50", "targets", "zoo", "detectors"]
    assert [line.split()[0] for line in text.splitlines()[1:]] == stages
    scan = json.loads((plan.results / "checks/scan.json").read_text())
    assert scan["suspected"] == [9]
    assert {"command", "seed", "versions", "device", "step"} <= scan.keys()
    memory = json.loads((plan.results / "checks/memory.json").read_text())
    assert memory["rooms"] == [[0, 16]], "64 images, halved until 16"

    written = {path: path.stat().st_mtime_ns for path in plan.results.rglob("*.json")}
    gpu_run.perform(plan, (), 1000, 1, clock=Time())
    assert {path: path.stat().st_mtime_ns for path in plan.results.rglob("*.json")} == written
    solver = plan.results / "checks/solver.json"
    solver.unlink()
    gpu_run.perform(plan, (), 1000, 1, clock=Time())
    assert solver.exists(), "what is gone is done again"
    del written[solver]
    assert all(path.stat().st_mtime_ns == then for path, then in written.items())

    made = gpu_pages.write(plan.results, tmp_path / "pages")
    assert {str(path.relative_to(tmp_path / "pages")) for path in made} == {
        "paper-30/tables.md", "paper-50-30/tables.md", "checks.md", "zoo-models.csv", "zoo.csv",
    }  # fmt: skip
    text = (tmp_path / "pages/paper-50-30/tables.md").read_text()
    assert "*91.5 / 100.0*" in text, "what the paper has for a ResNet-50"
    assert "| BadNets to 1 |" in (tmp_path / "pages/paper-30/tables.md").read_text()
    assert "| solver |" in (tmp_path / "pages/checks.md").read_text()

    stop_in_a_purification(plan, plan.results / "tables/paper-30/trojan-0-beear.json")

    back, there = tmp_path / "back", tmp_path / "there"
    assert gpu_pieces.pack(plan.work, back, 1 << 20) != [], "some victims do not fit"
    assert gpu_pieces.pack(plan.work, back, 100 << 20) == []
    assert len(list(back.iterdir())) <= 8
    gpu_pieces.unpack(back, there)
    moved = [one.relative_to(there) for one in there.rglob("*") if one.is_file()]
    assert Path("paper-30/trojan-0/model.pth") in moved
    assert Path("paper-30/trojan.png") in moved
    for one in moved:
        assert (there / one).read_bytes() == (plan.work / one).read_bytes()
    again = gpu_run.all_steps(replace(plan, work=there))
    assert [one.name for one in again if not one.is_done] == []


class _AfterOneStep(JobContext):
    def figures(self, number: int, total: int, values: object) -> None:
        self.cancel()


def stop_in_a_purification(plan: Plan, row: Path) -> None:
    """What a purification has so far is no row, and is gone on with."""
    row.unlink()
    tables = gpu_papers._tables(plan, False)
    tables.scale = replace(
        tables.scale, methods={**tables.scale.methods, "BEEAR": "beear:epochs=2,inner=1"}
    )
    tables.job = _AfterOneStep()
    with pytest.raises(Canceled):
        list(tables.rows(["Trojan"], ["BEEAR"], [0]))
    assert not row.exists()
    tables.job = JobContext()
    list(tables.rows(["Trojan"], ["BEEAR"], [0]))
    assert json.loads(row.read_text())["steps"] == 2


@pytest.mark.parametrize("dry", [True, False])
def test_every_member_can_be_made_brief(dry: bool) -> None:
    for registry in (METHODS, DETECTORS):
        for name in registry:
            usual = registry.parse(name)
            short = brief(usual, dry=dry)
            assert type(short) is type(usual)
    assert brief(METHODS.parse("anp"), dry=dry).iterations < 100  # type: ignore[attr-defined]


def made_steps(folder: Path, clock: Time, seconds: dict[str, float]) -> Iterator[WorkStep]:
    """Steps of which each takes so long, though 10 seconds were guessed."""

    def work(name: str, job: JobContext) -> dict[str, str]:
        for _ in range(10):
            job.raise_if_canceled()
            clock.now += seconds[name] / 10
        if name == "bad":
            raise ValueError("no")
        return {"name": name}

    for name in seconds:
        yield WorkStep(
            f"a/{name}", "same", 10, folder / f"{name}.json", partial(work, name),
            needs=("a/one",) if name == "after" else (), rank=name == "later",
        )  # fmt: skip


def test_nothing_begins_that_does_not_fit(tmp_path: Path) -> None:
    clock = Time()
    steps = list(made_steps(tmp_path, clock, {"later": 20, "one": 20, "after": 20, "bad": 5}))
    ledger = Ledger(tmp_path / "times.jsonl")
    assert [ledger.estimate(one) for one in steps] == [10, 10, 10, 10]
    carry_out(steps, Alone(clock), ledger, clock.now + 45, clock)
    assert [(one.step, one.ended) for one in ledger.entries] == [
        ("a/one", "done"), ("a/after", "done"),
    ]  # fmt: skip
    assert ledger.estimate(steps[0]) == 20, "as long as those of its kind took"
    assert ledger.estimate(replace(steps[0], kind="same too")) == 20, "of a similar kind"
    assert ledger.estimate(replace(steps[0], kind="other")) == 10
    carry_out(steps, Alone(clock), ledger, clock.now + 35, clock)
    assert [one.ended for one in ledger.entries[2:]] == ["failed", "done"]
    assert steps[3].failure.read_text().endswith("ValueError: no\n")
    assert "failed: a/bad: ValueError: no" in gpu_steps.summary(steps, ledger)
    carry_out(steps, Alone(clock), Ledger(tmp_path / "times.jsonl"), clock.now + 30, clock)
    read = Ledger(tmp_path / "times.jsonl")
    assert [one.step for one in read.entries[4:]] == ["a/bad"], "tried again by the next call"


def test_a_step_ends_with_the_time_and_goes_on_later(tmp_path: Path) -> None:
    clock = Time()
    [step] = made_steps(tmp_path, clock, {"one": 40})
    ledger = Ledger(tmp_path / "times.jsonl")
    carry_out([step], Alone(clock), ledger, clock.now + 20, clock)
    [entry] = ledger.entries
    assert entry.ended == "cut"
    assert entry.seconds == 20
    assert not step.is_done
    assert ledger.estimate(step) == 1, "it was to take ten seconds, and has had twenty"
    with pytest.raises(Canceled):
        TimedJob(clock.now, clock).progress("Training", 1, 2, "steps")


class Pair:
    """Two who work at the same time: what begins first ends first."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.at_work: dict[int, WorkStep] = {}

    def idle(self) -> list[int]:
        return [one for one in (0, 1) if one not in self.at_work]

    def start(self, worker: int, step: WorkStep, ends: float) -> None:
        self.at_work[worker] = step
        self.log.append(f"{worker} {step.name}")

    def finished(self, until: float) -> tuple[int, gpu_steps.Ended, float] | None:
        worker = min(self.at_work)
        step = self.at_work.pop(worker)
        step.result.write_text("{}")
        return worker, "done", 1.0

    def abandon(self) -> None:
        self.at_work.clear()


def test_two_at_a_time(tmp_path: Path) -> None:
    def step(name: str, **more: object) -> WorkStep:
        path = tmp_path / f"{name}.json"
        return WorkStep(name, "k", 1, path, lambda job: None, **more)  # type: ignore[arg-type]

    steps = [
        step("clock", alone=True), step("x1", lane="x", rank=1), step("y1", lane="y", rank=1),
        step("x2", lane="x", rank=2, needs=("x1",)), step("y2", lane="y", rank=2, needs=("y1",)),
        step("z", rank=3, alone=True),
    ]  # fmt: skip
    pair, clock = Pair(), Time()
    carry_out(steps, pair, Ledger(tmp_path / "times.jsonl"), clock.now + 99, clock)
    assert pair.log == ["0 clock", "0 x1", "1 y1", "0 x2", "1 y2", "0 z"], "whoever knows it"


def test_processes_that_fail_or_die_are_replaced(tmp_path: Path) -> None:
    make = partial(steps_in, tmp_path)
    steps = make()
    crew, ledger = Processes(1, make), Ledger(tmp_path / "times.jsonl")
    try:
        carry_out(list(steps.values())[:4], crew, ledger, 1e9)
        assert [one.ended for one in ledger.entries] == ["failed", "failed", "done", "done"]
        assert "exit code 3" in steps["dies"].failure.read_text()
        found = [json.loads(steps[one].result.read_text()) for one in ("works", "works too")]
        assert found[0]["process"] == found[1]["process"] != os.getpid()
        crew.start(0, steps["lasts"], 1e9)
        assert crew.finished(0.0) is None, "nobody waits longer than told"
    finally:
        crew.abandon()
    assert crew.idle() == []


def test_processes_that_die_at_once_end_nothing(tmp_path: Path) -> None:
    """Before a step is sent to them, and while it waits to be taken."""
    steps = list(steps_in(tmp_path).values())[2:4]
    crew, ledger = Processes(1, no_steps), Ledger(tmp_path / "times.jsonl")
    try:
        crew._workers[0][0].join()
        carry_out(steps, crew, ledger, 1e9)
    finally:
        crew.abandon()
    assert [one.ended for one in ledger.entries] == ["failed", "failed"]
    assert all("exit code 4" in one.failure.read_text() for one in steps)


def test_what_is_packed_is_eight_files_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the room: results and victims begin a piece each, and have a list each."""
    piece, rng = 1 << 19, np.random.default_rng(0)
    monkeypatch.setattr(gpu_pieces, "_PACKED_BYTES", piece)
    work = tmp_path / "work"
    (work / "results").mkdir(parents=True)
    (work / "results/a.json").write_bytes(rng.bytes(3 * piece // 2))
    for number in range(20):
        victim = work / f"paper/victim-{number}"
        victim.mkdir(parents=True)
        (victim / "card.json").write_text("{}")
        (victim / "model.pth").write_bytes(rng.bytes(piece // 3))
    left = gpu_pieces.pack(work, tmp_path / "out", 100 * piece)
    assert len(list((tmp_path / "out").iterdir())) == 8
    assert len(left) == 9, "eleven thirds are in four pieces"
    (work / "results/b.json").write_bytes(rng.bytes(6 * piece))
    with pytest.raises(gpu_pieces.PieceError, match="too large"):
        gpu_pieces.pack(work, tmp_path / "out", 100 * piece)


def test_pieces_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, folder, out = tmp_path / "train.zip", tmp_path / "pieces", tmp_path / "out"
    whole.write_bytes(bytes(range(256)) * 10)
    assert gpu_pieces.main(["split", str(whole), str(folder), "--size", "0.001"]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == [*(f"train.zip.{n:02d}" for n in range(3)), "train.zip.pieces.json"]
    assert gpu_pieces.main(["join", str(folder), str(out)]) == 0
    assert (out / "train.zip").read_bytes() == whole.read_bytes()
    (out / "train.zip").unlink()
    (folder / "train.zip.01").write_bytes(b"x" * 1000)
    assert gpu_pieces.main(["join", str(folder), str(out)]) == 1
    assert "train.zip.01: is damaged" in capsys.readouterr().err
    assert not (out / "train.zip").exists()
    (folder / "train.zip.01").unlink()
    with pytest.raises(gpu_pieces.PieceError, match="is missing"):
        list(gpu_pieces.join(folder, out))


def test_compiling_is_chosen_by_what_was_measured() -> None:
    found = {"images": 1000, "eager": [2.0, 1.0], "compiled": [60.5, 0.5]}
    assert pays(found, 1000 * 100, 2), "100 s saved, 60 s spent"
    assert not pays(found, 1000 * 50, 2)
    assert not pays({"images": 1000, "eager": [2.0, 1.0]}, 10**9, 2)
