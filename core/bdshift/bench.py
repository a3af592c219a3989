"""``bdshift bench``: what the speed claims are measured with. Ratios within one run, no thresholds.

The network is a ResNet-18 of the usual width with a CIFAR stem: an untrained backbone, and a ridge
head fitted on 500 drawn signs, so that its logits are like a trained network's and the scan takes
its usual path. The problems for the solvers at other sizes are drawn (`drawn_problem`).
"""

from __future__ import annotations

import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bdshift.audit import ScanSettings, scan, versions
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.families.resnet import resnet18
from bdshift.devices import autocast, has_native_bfloat16, pick_device
from bdshift.images.collection import open_images
from bdshift.images.loader import decode_all
from bdshift.images.preprocessing import Preprocessing, parse_normalisation
from bdshift.images.signs import CLASSES, draw_signs
from bdshift.jobs import SILENT, JobContext
from bdshift.shift.adam import STEPS, solve_adam
from bdshift.shift.exact import solve_exact

IMAGES, CLASS_COUNT = 2500, 10
_NORMALISATION = "half"


@dataclass(frozen=True)
class Row:
    """One line of the table: what, how long or how much, and against what."""

    what: str
    value: str
    note: str = ""


def drawn_problem(
    images: int, dim: int, classes: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N, C) and head (C, d) like a trained network's: φ ≥ 0 around a direction a class,
    rows of W about 1.4 long, logits of the own class some 10 above the others.
    """
    rng = torch.Generator().manual_seed(seed)
    direction = torch.randn(classes, dim, generator=rng)
    weight = 1.4 * direction / direction.norm(dim=1, keepdim=True)
    weight += 0.02 * torch.randn(classes, dim, generator=rng)
    logits = torch.empty(images, classes)
    for start in range(0, images, 4096):
        count = min(4096, images - start)
        labels = torch.randint(classes, (count,), generator=rng)
        noise = torch.randn(count, dim, generator=rng)
        phi = (0.35 * noise + 0.3 * direction[labels] + 0.3).relu_()
        logits[start : start + count] = phi @ weight.T
    return logits.numpy(), weight.numpy()


def _median(run: Callable[[], object], times: int = 3) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _make_inputs(folder: Path) -> tuple[Path, Path]:
    """2500 drawn signs of ten classes as PNG files, and a checkpoint that tells them apart."""
    images, labels = draw_signs(IMAGES // CLASS_COUNT, seed=1, split="clean")
    clean = folder / "clean"
    for row in range(IMAGES):
        path = clean / CLASSES[labels[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row].transpose(1, 2, 0)).save(path)
    torch.manual_seed(0)
    network = resnet18(64, CLASS_COUNT).eval()
    picked = np.random.default_rng(0).permutation(IMAGES)[:500]
    preprocess = Preprocessing(32, parse_normalisation(_NORMALISATION))
    network.fc = torch.nn.Identity()
    with torch.inference_mode():
        phi = network(preprocess(torch.from_numpy(images[picked]))).double()
    wanted = torch.nn.functional.one_hot(torch.from_numpy(labels[picked]), CLASS_COUNT).double()
    centred = phi - phi.mean(0)
    gram = centred.T @ centred
    ridge = gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = 12 * torch.linalg.solve(ridge, centred.T @ wanted).T
    head = torch.nn.Linear(phi.shape[1], CLASS_COUNT)
    head.weight.data = weight.float()
    head.bias.data = (-weight @ phi.mean(0)).float()
    network.fc = head
    torch.save(network.state_dict(), folder / "model.pth")
    return folder / "model.pth", clean


def _bare_loop(
    classifier: Classifier, pixels: NDArray[np.uint8], precision: str, channels_last: bool
) -> Callable[[], None]:
    """The forward loop that a script has: batches of 256 over decoded images, nothing else."""
    device = classifier.weight.device
    preprocess = classifier.preprocessing
    assert preprocess is not None
    form = torch.channels_last if channels_last else torch.contiguous_format
    network = classifier.network.to(memory_format=form)

    def run() -> None:
        with torch.inference_mode(), autocast(device, precision):
            for part in torch.from_numpy(pixels).split(256):
                network(preprocess(part.to(device)).contiguous(memory_format=form))

    return run


def measure_scan(device: torch.device, job: JobContext) -> list[Row]:
    """A whole scan against a bare forward loop over the same images."""
    with tempfile.TemporaryDirectory() as name:
        model, clean = _make_inputs(Path(name))
        opened = open_checkpoint(model)
        preprocess = Preprocessing(32, parse_normalisation(_NORMALISATION))
        classifier = opened.classifier(opened.candidates[0]).with_preprocessing(preprocess)
        classifier.network.to(device)
        collection = open_images(clean)
        pixels = decode_all(collection, collection.files, 32).pixels
        native = "bfloat16" if has_native_bfloat16(device) else "float32"
        script = _median(_bare_loop(classifier, pixels, "float32", channels_last=False))
        job.note(f"bare forward loop, float32: {script:.2f} s")
        best = _median(_bare_loop(classifier, pixels, native, channels_last=True))
        job.note(f"bare forward loop, {native}, channels-last: {best:.2f} s")
        rows = [
            Row("bare forward loop, float32, as a script has it", f"{script:.2f} s", "1.00 ×"),
            Row(
                f"the same loop in {native}, channels-last",
                f"{best:.2f} s",
                f"{best / script:.2f} ×",
            ),
        ]
        for normalise, label in (
            (_NORMALISATION, "whole scan, preprocessing given (--normalise)"),
            (None, "whole scan, all known preprocessings tried"),
        ):
            settings = ScanSettings(normalise=normalise, device=device.type, sample=None)
            seconds = _median(partial(scan, model, clean, settings))
            job.note(f"{label}: {seconds:.2f} s")
            rows.append(
                Row(
                    f"{label}: read, decode, embed, solve, judge",
                    f"{seconds:.2f} s",
                    f"{seconds / script:.2f} × the script's loop, {seconds / best:.2f} × the fast",
                )
            )
        rows += _solver_rows(scan(model, clean, ScanSettings(sample=None)), script, job)
    return rows


def _solver_rows(audit: object, forward: float, job: JobContext) -> list[Row]:
    from bdshift.audit import Audit

    assert isinstance(audit, Audit)
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
        Row(
            f"exact solve, all {weight.shape[0]} classes",
            f"{seconds_exact * 1e3:.1f} ms",
            f"KKT residual {exact.kkt_max:.0e}, duality gap {exact.gap_max:.0e}",
        ),
        Row(
            f"{STEPS} Adam steps on cached logits, all classes",
            f"{seconds_adam:.2f} s",
            f"{seconds_adam / seconds_exact:.0f} × the exact solve; at the same loss its shifts "
            f"are {longer:.0%} longer",
        ),
        Row(
            f"{STEPS} steps that run the network each time (forward only, computed)",
            f"{naive / 60:.0f} min",
            f"{naive / seconds_exact:,.0f} × the exact solve",
        ),
    ]


def measure_large(images: int, dim: int, classes: int) -> None:
    """Solve a large drawn problem and print seconds, KKT residual and peak memory in bytes."""
    logits, weight = drawn_problem(images, dim, classes)
    phi = np.zeros((images, dim), np.float32) + 1  # as in an audit, the embeddings stay in memory
    started = time.perf_counter()
    found = solve_exact(logits, weight)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(seconds, found.kkt_max, found.status.count("solved"), peak, phi.nbytes)


def _large_row(images: int, dim: int, classes: int, job: JobContext) -> Row:
    """In a process of its own, so that the peak memory is its own."""
    job.note(f"solving {classes} classes, {dim}-d, {images} images")
    code = f"from bdshift.bench import measure_large; measure_large({images}, {dim}, {classes})"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    seconds, kkt, solved, peak = float(done[0]), float(done[1]), int(done[2]), float(done[3])
    return Row(
        f"exact solve, C = {classes}, d = {dim}, N = {images:,}",
        f"{seconds:.1f} s",
        f"{solved} classes solved, KKT residual {kkt:.0e}, peak memory {peak / 2**30:.2f} GiB",
    )


def _import_row() -> Row:
    def run(code: str) -> float:
        return _median(lambda: subprocess.run([sys.executable, "-c", code], check=True), 5)

    nothing, ours = run("pass"), run("import bdshift")
    return Row(
        "import bdshift", f"{(ours - nothing) * 1e3:.0f} ms", "beyond starting Python; no torch"
    )


def run_bench(*, device: str = "auto", large: bool = False, job: JobContext = SILENT) -> list[Row]:
    """All rows; with ``large`` also C = 1000, d = 2048, N = 50 000, which takes minutes."""
    where = pick_device(device)
    rows = [_import_row(), *measure_scan(where, job)]
    rows.append(_large_row(2500, 512, 100, job))
    if large:
        rows.append(_large_row(50_000, 2048, 1000, job))
    return rows


def as_markdown(rows: list[Row], command: str) -> str:
    """The table, with what it was measured on."""
    about = versions()
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    head = [
        "# Benchmark",
        "",
        f"`{command}` on {machine}; Python {about['python']}, torch {about['torch']}, "
        f"bdshift {about['bdshift']}. Medians of one run; {IMAGES} images, ResNet-18, 32×32.",
        "",
        "| what | time | |",
        "|---|---:|---|",
    ]
    return "\n".join(head + [f"| {row.what} | {row.value} | {row.note} |" for row in rows]) + "\n"
