"""Measures what docs/scale.md and the simulation of a fleet are computed from, and writes JSON.

    python tools/scale_measure.py MODEL IMAGES OUT.json

Times of this process are those on the processor, on one thread, so that other work matters less;
those of other processes, and of the disk, are by the clock: the fastest of some tries.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from bdshift.audit import ScanSettings, scan
from bdshift.audit.asked import AskedScan
from bdshift.audit.made import versions
from bdshift.bench.drawn import drawn_problem
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.families.resnet import resnet18
from bdshift.fleet.child import _hold_to
from bdshift.fleet.drive import run_fleet
from bdshift.fleet.engine import Engine
from bdshift.fleet.identity import Stamp, content_of
from bdshift.fleet.results import Results, Row
from bdshift.fleet.table import ranked
from bdshift.fleet.task import FleetModel, Limits, Result, Spoken, Task, Told
from bdshift.images.framing import Framing
from bdshift.images.kept import open_kept
from bdshift.jobs import SILENT
from bdshift.kinds import RESULTS
from bdshift.shift.exact import solve_exact
from bdshift.store import save_audit

_HASHED_BYTES = 256 * 1024**2
_FILES = 400  # of a fleet whose audits take no time
_SKETCH = 64  # numbers
_RATED = {"ResNet-18, CIFAR stem": 32, "resnet50": 224, "vit_b_16": 224, "efficientnet_b0": 224}
_PROBLEMS = ((12, 128, 2500), (10, 512, 2500), (100, 2048, 2500), (1000, 2048, 2500))


def fastest(run: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest try, by the clock."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return min(found)


def counted(run: Callable[[], object]) -> tuple[int, float]:
    """FLOPs of torch's products, and seconds on the processor without counting them."""
    with FlopCounterMode(display=False) as counter:
        run()
    started = time.process_time()
    run()
    return counter.get_total_flops(), time.process_time() - started


class _Instant(Engine):
    """Audits take no time."""

    def __init__(self, workers: int) -> None:
        self._window, self._given = 2 * workers, list[int]()

    @property
    def room(self) -> int:
        return self._window - len(self._given)

    def submit(self, task: Task) -> None:
        self._given.append(task.number)

    def told(self, patience: float) -> Sequence[Told]:
        if not patience:
            return ()
        given, self._given = self._given[:1], self._given[1:]
        return [Told(one, result=_drawn(one, 10)) for one in given]

    def close(self) -> None: ...


def _drawn(number: int, classes: int) -> Result:
    """A result as an audit has, of a model that resembles no other."""
    rng = np.random.default_rng(number)
    said = Spoken({"en": "Class 9 “speed_80” " * 6, "ja": "クラス 9「speed_80」" * 6})
    return Result(
        "done", said, "nothing-unusual", 9, "speed_80", float(rng.random()), True, 1.0,
        "ResNet-18, 512 neurons", classes, 0.93, tuple(rng.random(classes).tolist()),
        tuple(rng.standard_normal(_SKETCH).astype(np.float32).tolist()), "0" * 64, 30.0, 6 * 10**8,
    )  # fmt: skip


def driver(images: Path) -> dict[str, float]:
    """The driver's seconds for a model, and their parts."""
    found = {}
    usual = FleetModel("", str(images), AskedScan(quick=True))
    for workers in (1, 1000):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            models = []
            for number in range(_FILES):
                path = folder / f"{number}.pth"
                path.write_bytes(number.to_bytes(4, "big"))
                models.append(replace(usual, path=str(path)))
            run = partial(run_fleet, models, folder / "out")
            begun = fastest(partial(run_fleet, models[:1], folder / "few", _Instant(1)), 1)
            whole = fastest(partial(run, _Instant(workers)), 1)
            found[f"model_{workers}_workers"] = (whole - begun) / (_FILES - 1)
            found["known_model"] = fastest(partial(run, _Instant(1))) / _FILES
            rows = [row for _, row in Results(folder / "out").rows()]
            spare = Results(folder / "rows")
            spare.folder.mkdir()
            found["row"] = fastest(partial(_put, spare, rows)) / _FILES
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "large.pth"
        path.write_bytes(os.urandom(_HASHED_BYTES))
        started = time.process_time()
        content_of(str(path), SILENT)
        rate = _HASHED_BYTES / (time.process_time() - started)
    return found | {"hashed_bytes_per_second": rate}


def _put(results: Results, rows: Sequence[Row]) -> None:
    for row in rows:
        results.put(row)


def tables() -> dict[str, object]:
    """Bytes of a row, and seconds of the table of many, all of one architecture."""
    sizes, seconds = {}, {}
    for classes in (10, 100, 1000):
        with tempfile.TemporaryDirectory() as name:
            results = Results(Path(name))
            for number in range(200):
                results.put(_row(number, classes))
            sizes[str(classes)] = (Path(name) / RESULTS).stat().st_size / 200
    for count in (4000, 8000, 16000):
        rows = [_row(number, 10) for number in range(count)]
        started = time.process_time()
        ranked(rows)
        seconds[str(count)] = time.process_time() - started
    return {"bytes_of_row_by_classes": sizes, "ranking_seconds_by_rows": seconds}


def _row(number: int, classes: int) -> Row:
    path = f"/shared/models/hub/organization-{number % 97}/model-{number}/checkpoint.safetensors"
    return Row(
        path, "/shared/images", "0" * 64, f"{number:064x}", Stamp(10**8, 10**18),
        f"checkpoint.safetensors-{number:012x}-000000.audit.h5", "2025-03-04T09:30Z",
        _drawn(number, classes),
    )  # fmt: skip


def processes(images: Path) -> dict[str, float]:
    """Seconds that processes take to start, to be forked, and to decode an image."""
    command = "import bdshift.cli.fleet, bdshift.fleet.drive, bdshift.fleet.local"
    start = fastest(lambda: subprocess.run([sys.executable, "-c", command], check=True))
    host = [sys.executable, "-m", "bdshift.fleet.host", "1"]
    hosted = fastest(lambda: subprocess.run(host, input=b"", check=True))
    kept = open_kept(images)
    names = [file.name for file in kept.files]
    started = time.process_time()
    kept.keep(32, Framing(), names)
    decoding = (time.process_time() - started) / len(names)

    def fork() -> None:
        pid = os.fork()
        if not pid:
            kept.reopen()
            _hold_to(Limits())
            os._exit(0)
        os.waitpid(pid, 0)

    return {
        "command": start, "host": hosted, "decoded_image": decoding, "fork": fastest(fork, 10),
    }  # fmt: skip


def one_audit(model: Path, images: Path) -> dict[str, float]:
    """An audit without searches, of a network for images of 32×32: time, counted work, bytes."""
    settings = ScanSettings(device="cpu")
    flops, seconds = counted(lambda: scan(model, images, settings))
    audit = scan(model, images, settings)
    found = {"flops": float(flops), "processor_seconds": seconds, "classes": audit.model.classes}
    found["images"] = sum(audit.images.counts)
    opened = open_checkpoint(model)
    network = opened.load(opened.candidates[0]).network
    image = torch.zeros(1, 3, 32, 32)
    found["image_flops"] = counted(lambda: network(image))[0]
    with tempfile.TemporaryDirectory() as name:
        for kind, embeddings in (("bytes", False), ("bytes_with_embeddings", True)):
            path = Path(name) / f"{kind}.h5"
            save_audit(audit, path, embeddings=embeddings)
            found[kind] = path.stat().st_size
    return found | {"checkpoint_bytes": model.stat().st_size}


def rates() -> dict[str, float]:
    """FLOPs per second of one core, forward, float32."""
    found = {}
    for name, size in _RATED.items():
        network = resnet18(64, 10) if size == 32 else getattr(torchvision.models, name)()
        network.eval().requires_grad_(False)
        batch = torch.randn(64 if size == 32 else 4, 3, size, size)

        def run(network: torch.nn.Module = network, batch: torch.Tensor = batch) -> None:
            with torch.inference_mode():
                network(batch)

        run()
        flops, seconds = counted(run)
        found[name] = flops / seconds
    return found


def solver() -> list[dict[str, float]]:
    """The exact solve of drawn problems."""
    found = []
    for classes, dim, images in _PROBLEMS:
        logits, weight = drawn_problem(images, dim, classes)
        flops, seconds = counted(partial(solve_exact, logits, weight))
        found.append(
            {"classes": classes, "dim": dim, "images": images, "flops": flops, "seconds": seconds}
        )
    return found


def main(model: Path, images: Path, out: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, object] = {
        "command": "python tools/scale_measure.py MODEL IMAGES OUT.json",
        "versions": versions(), "cores": os.cpu_count(), "load_before": os.getloadavg()[0],
    }  # fmt: skip
    for name, measure in {
        "processes": lambda: processes(images), "driver": lambda: driver(images),
        "tables": tables, "audit": lambda: one_audit(model, images), "rates": rates,
        "solver": solver,
    }.items():  # fmt: skip
        found[name] = measure()
        print(name, found[name], file=sys.stderr)
    found["load_after"] = os.getloadavg()[0]
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
