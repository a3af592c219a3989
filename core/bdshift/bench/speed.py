"""A whole scan and the solvers against what a script would do: medians and ratios of one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bdshift.audit import Audit, ScanSettings, scan
from bdshift.bench.drawn import NORMALIZATION, BenchRow, write_inputs
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.devices import autocast, usual_precision
from bdshift.images.collection import open_images
from bdshift.images.loader import decode_all
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import JobContext
from bdshift.shift.adam import STEPS, solve_adam
from bdshift.shift.exact import solve_exact


def _median(run: Callable[[], object], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _bare_loop(
    classifier: Classifier, pixels: NDArray[np.uint8], precision: str, channels_last: bool
) -> Callable[[], None]:
    """The forward loop of a plain script: batches of 256 over decoded images, nothing else."""
    device = classifier.weight.device
    preprocess = classifier.preprocessing
    form = torch.channels_last if channels_last else torch.contiguous_format
    network = classifier.network.to(memory_format=form)

    def run() -> None:
        with torch.inference_mode(), autocast(device, precision):
            for part in torch.from_numpy(pixels).split(256):
                network(preprocess(part.to(device)).contiguous(memory_format=form))

    return run


def measure_scan(device: torch.device, job: JobContext) -> list[BenchRow]:
    """A whole scan against a bare forward loop over the same images."""
    with tempfile.TemporaryDirectory() as name:
        model, clean = write_inputs(Path(name))
        opened = open_checkpoint(model)
        preprocess = Preprocessing(32, parse_normalization(NORMALIZATION))
        classifier = opened.load(opened.candidates[0]).with_preprocessing(preprocess)
        classifier.network.to(device)
        collection = open_images(clean)
        pixels = decode_all(collection, collection.files, 32).pixels
        native = usual_precision(device)
        script = _median(_bare_loop(classifier, pixels, "float32", channels_last=False))
        job.note("{row}", row=f"bare forward loop, float32: {script:.2f} s")
        best = _median(_bare_loop(classifier, pixels, native, channels_last=True))
        job.note("{row}", row=f"bare forward loop, {native}, channels-last: {best:.2f} s")
        rows = [
            BenchRow(
                "bare forward loop, float32, as in a plain script", f"{script:.2f} s", "1.00 ×"
            ),
            BenchRow(
                f"the same loop in {native}, channels-last",
                f"{best:.2f} s",
                f"{best / script:.2f} ×",
            ),
        ]
        for normalize, label in (
            (NORMALIZATION, "whole scan, preprocessing given (--normalize)"),
            (None, "whole scan, all known preprocessings tried"),
        ):
            settings = ScanSettings(normalize=normalize, device=device.type, sample=None)
            seconds = _median(partial(scan, model, clean, settings))
            job.note("{row}", row=f"{label}: {seconds:.2f} s")
            rows.append(
                BenchRow(
                    f"{label}: read, decode, embed, solve, judge",
                    f"{seconds:.2f} s",
                    f"{seconds / script:.2f} × the script's loop, {seconds / best:.2f} × the fast",
                )
            )
        rows += _solver_rows(scan(model, clean, ScanSettings(sample=None)), script, job)
    return rows


def _solver_rows(audit: Audit, forward: float, job: JobContext) -> list[BenchRow]:
    assert audit.embedding is not None
    logits, weight = audit.embedding.logits, audit.model.weight
    exact = solve_exact(logits, weight)
    adam = solve_adam(logits, weight)
    seconds_exact = _median(lambda: solve_exact(logits, weight), 7)
    seconds_adam = _median(lambda: solve_adam(logits, weight))
    same_loss = [
        solve_exact(logits, weight, alpha=float(loss)).l2[i] for i, loss in enumerate(adam.loss)
    ]
    longer = float(np.mean(adam.l2 / np.array(same_loss)) - 1)
    naive = forward * STEPS * weight.shape[0]
    job.note(f"exact {seconds_exact * 1e3:.1f} ms, Adam {seconds_adam:.2f} s")
    return [
        BenchRow(
            f"exact solve, all {weight.shape[0]} classes",
            f"{seconds_exact * 1e3:.1f} ms",
            f"KKT residual {exact.kkt_max:.0e}, duality gap {exact.gap_max:.0e}",
        ),
        BenchRow(
            f"{STEPS} Adam steps on cached logits, all classes",
            f"{seconds_adam:.2f} s",
            f"{seconds_adam / seconds_exact:.0f} × the exact solve; at the same loss its shifts "
            f"are {longer:.0%} longer",
        ),
        BenchRow(
            f"{STEPS} steps that run the network each time (forward only, computed)",
            f"{naive / 60:.0f} min",
            f"{naive / seconds_exact:,.0f} × the exact solve",
        ),
    ]


def measure_import() -> BenchRow:
    """What ``import bdshift`` costs."""

    def run(code: str) -> float:
        return _median(lambda: subprocess.run([sys.executable, "-c", code], check=True), 5)

    nothing, ours = run("pass"), run("import bdshift")
    return BenchRow(
        "import bdshift", f"{(ours - nothing) * 1e3:.0f} ms", "beyond starting Python; no torch"
    )
