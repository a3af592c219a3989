"""Every purification method's wall-clock time against that of its passes through the network."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from torch.nn import functional

from bdshift.assets import asset
from bdshift.audit import Audit, ScanSettings, scan_opened
from bdshift.bench.drawn import BenchRow
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.images.collection import open_images
from bdshift.images.signs import write_signs
from bdshift.jobs import JobContext
from bdshift.purification import METHODS, CleanData, purify, read_images, split_clean
from bdshift.purification.clean_data import with_trigger
from bdshift.purification.workbench import BATCH, Workbench, copy_network
from bdshift.triggers import parse_trigger

_IMAGES_PER_CLASS = 100  # of the demo's twelve classes


def measure_methods(device: torch.device, job: JobContext) -> list[BenchRow]:
    """The demo's victim, purified by every method with its defaults, and by shift tuning of the
    last layers only.
    """
    with tempfile.TemporaryDirectory() as name:
        images = Path(name) / "clean"
        write_signs(images, _IMAGES_PER_CLASS, seed=0, job=job)
        opened = open_checkpoint(asset("demo/victim.pth"), job=job)
        settings = ScanSettings(device=device.type)
        audit, material = scan_opened(opened, open_images(images), settings, job=job)
        classifier, found = material.classifier, material.clean
        part = read_images(found.collection, found.files, found.class_map.of_folder, 32, job=job)
    data = split_clean(part, classifier.preprocessing)
    trigger = parse_trigger(str(asset("demo/victim.json")))
    data = with_trigger(data, trigger, audit.most_suspicious)
    forward, both = _passes(classifier, data, device)
    rows = []
    for text in (*METHODS, "shift-tuning:tune_from=layer3"):
        rows.append(_row(text, audit, classifier, data, forward, both, device))
        job.note("{row}", row=f"{rows[-1].what}: {rows[-1].value}, {rows[-1].note}")
    return rows


def _row(
    text: str,
    audit: Audit,
    classifier: Classifier,
    data: CleanData,
    forward: float,
    both: float,
    device: torch.device,
) -> BenchRow:
    target = audit.most_suspicious
    shift = torch.from_numpy(audit.shifts.shift[target].copy())
    started = time.perf_counter()
    found = purify(classifier, data, METHODS.parse(text), target, shift, device=device)
    seconds = time.perf_counter() - started
    alone = (found.forwards - found.backwards) * forward + found.backwards * both
    note = f"{found.forwards:,} images forward, {found.backwards:,} of them back"
    if "tune_from" in text:
        return BenchRow(text, f"{seconds:.2f} s", f"{note}, most through the last layers alone")
    return BenchRow(text, f"{seconds:.2f} s", f"{note}; {seconds / alone:.2f} × these passes alone")


def _passes(classifier: Classifier, data: CleanData, device: torch.device) -> tuple[float, float]:
    """Seconds per image: forward without gradients, and a whole step of plain SGD; the best of
    three rounds after a warm-up.
    """
    tune = data.tune.to(device)
    network = copy_network(classifier, device)
    bench = Workbench(
        network, classifier.head_name, CleanData(tune, data.held.to(device), data.preprocess), 0,
        torch.zeros(0),
    )  # fmt: skip
    optimizer = torch.optim.SGD(network.parameters(), 0.0, 0.9)

    def look() -> None:
        network.eval()
        with torch.no_grad():
            for pixels in tune.pixels.split(BATCH):
                bench.phi(data.preprocess(pixels))

    def step() -> None:
        network.train()
        for rows in bench.batches(0, 128):
            phi = bench.phi(data.preprocess(tune.pixels[rows]))
            loss = functional.cross_entropy(bench.head(phi), tune.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    found = []
    for run in (look, step):
        best = float("inf")
        for _ in range(4):
            started = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - started)
        found.append(best / len(tune))
    return found[0], found[1]
