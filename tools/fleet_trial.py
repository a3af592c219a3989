"""A fleet with its accidents: hundreds of audits, some of files that mean harm, while workers and
the driver are killed. Checks that every good model has one row with its audit and every bad one a
row with its reason, and writes what it took as JSON.

    python tools/fleet_trial.py MODEL… --images FOLDER --work FOLDER --count 300 --out OUT.json
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bdshift.audit import versions
from bdshift.fleet.results import AUDITS, Results
from tools.fleet_trial_models import write_bad_ones, write_good_ones

_EVERY = 1.0  # seconds between two looks
_SERIAL = 12  # models of the loop of scans that the fleet is compared with
SECONDS, MEMORY = 60, 1.0
"""Limits of an audit: wall time, and gigabytes of memory of its own."""


@dataclass
class Watch:
    """What was seen while fleets ran, by `run`."""

    wall: float = 0.0
    memory: int = 0
    kills: list[str] = field(default_factory=list)


def rows_in(out: Path) -> int:
    """Models that have a result."""
    try:
        with closing(sqlite3.connect(f"{(out / 'fleet.sqlite').as_uri()}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM audit").fetchone()[0])
    except sqlite3.Error:
        return 0


def command(models: Path, images: Path, out: Path, engine: list[str]) -> list[str]:
    """The fleet's command, the same each time."""
    return [
        sys.executable, "-m", "bdshift", "fleet", str(models), "--images", str(images), "--out",
        str(out), "--quick", "--seconds", str(SECONDS), "--memory", str(MEMORY), *engine,
    ]  # fmt: skip


def memory_of(root: psutil.Process) -> int:
    """Bytes of a process and all that it has started, shared pages counted once."""
    total = 0
    for one in [root, *root.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def victim_of(root: psutil.Process, ray: bool) -> psutil.Process | None:
    """A process whose death takes audits with it: the one that forks them, or a worker of Ray."""
    if not ray:
        return next((one for one in root.children() if "bdshift.fleet.host" in one.cmdline()), None)
    for one in psutil.process_iter(["cmdline"]):
        title = (one.info["cmdline"] or [""])[0]
        if "ray::" in title and "IDLE" not in title:
            return one
    return None


def run(line: list[str], out: Path, watch: Watch, ray: bool, kill: dict[int, str]) -> None:
    """Run a fleet to its end, or until its driver is killed: ``kill`` says at how many rows what
    is killed.
    """
    began = time.monotonic()
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as driver:
        root = psutil.Process(driver.pid)
        while driver.poll() is None:
            time.sleep(_EVERY)
            try:
                watch.memory = max(watch.memory, memory_of(root))
            except psutil.Error:
                break
            done = rows_in(out)
            for at in [at for at in kill if done >= at]:
                what = kill.pop(at)
                one = root if what == "driver" else victim_of(root, ray)
                if one is not None:
                    os.kill(one.pid, signal.SIGKILL)
                    watch.kills.append(f"{what} at {done} rows")
        driver.wait()
    watch.wall += time.monotonic() - began


def serial_loop(models: list[Path], images: Path) -> float:
    """Seconds a model by a loop of scans."""
    began = time.monotonic()
    for one in models:
        scan = [sys.executable, "-m", "bdshift", "scan", str(one), str(images), "--quick",
                "--no-cache"]  # fmt: skip
        subprocess.run(scan, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.monotonic() - began) / len(models)


def main() -> None:
    """Make the models, run the fleets, check, and write what was found."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("models", nargs="+", type=Path)
    asked.add_argument("--images", type=Path, required=True)
    asked.add_argument("--work", type=Path, required=True)
    asked.add_argument("--count", type=int, default=300)
    asked.add_argument("--engine", nargs=argparse.REMAINDER, default=[])
    asked.add_argument("--out", type=Path, required=True)
    given = asked.parse_args()
    folder, out, mark = given.work / "models", given.work / "results", given.work / "code-ran"
    good = write_good_ones(given.models, given.count, folder)
    expected = write_bad_ones(given.models[0], folder, mark)
    load = os.getloadavg()[0]
    ray = "--ray" in given.engine
    line, watch = command(folder, given.images, out, given.engine), Watch()
    kill = {given.count // 3: "worker", given.count // 2: "driver"}
    while kill:
        run(line, out, watch, ray, kill)
    run(line, out, watch, ray, {})

    rows = [row for _, row in Results(out).rows()]
    status = {Path(row.model).name: row.result.status for row in rows}
    audits = {row.file for row in rows if row.file}
    kept = {one.name for one in (out / AUDITS).iterdir() if one.suffix == ".h5"}
    assert kept == audits, "an audit that no row knows, or a row without its audit"
    assert {one.name: "done" for one in good} == {
        name: found for name, found in status.items() if name not in expected
    }
    assert {name: status.get(name) for name in expected} == expected
    assert not mark.exists(), "code of a file ran"
    reasons = {
        Path(row.model).name: row.result.reason.render() for row in rows if row.result.reason
    }
    done = [row.result for row in rows if row.result.status == "done"]
    spent = sum(one.seconds for one in done)
    alone = serial_loop(good[:_SERIAL], given.images)
    found = {
        "command": "python tools/fleet_trial.py " + " ".join(map(str, sys.argv[1:])),
        "audits": len(rows),
        "done": len(done),
        "bad": {name: [expected[name], reasons[name]] for name in expected},
        "suspected": sum(one.level == "backdoored" for one in done),
        "killed": watch.kills,
        "wall_seconds": round(watch.wall, 1),
        "audits_a_minute": round(60 * len(rows) / watch.wall, 1),
        "seconds_in_audits": round(spent, 1),
        "seconds_of_one_audit": round(spent / len(done), 2),
        "seconds_of_one_scan_in_a_loop": round(alone, 2),
        "times_a_serial_loop": round(alone * len(rows) / watch.wall, 2),
        "peak_memory_of_all_processes": watch.memory,
        "largest_private_memory_of_an_audit": max(one.memory for one in done),
        "load_at_the_start": round(load, 1),
        "versions": versions(),
    }
    given.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
