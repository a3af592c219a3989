"""A problem of ImageNet's size, in a separate process, so that the peak memory is its own."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from bdshift.bench.drawn import BenchRow, drawn_problem
from bdshift.devices import GIB
from bdshift.jobs import JobContext
from bdshift.shift.exact import solve_exact


def _peak_memory() -> int:
    """Peak memory of this process, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure_large(images: int, dim: int, classes: int) -> None:
    """Solve a large drawn problem and print seconds, KKT residual and peak memory in bytes."""
    logits, weight = drawn_problem(images, dim, classes)
    phi = np.zeros((images, dim), np.float32) + 1  # as in an audit, the embeddings stay in memory
    started = time.perf_counter()
    found = solve_exact(logits, weight)
    seconds = time.perf_counter() - started
    peak = _peak_memory()
    print(seconds, found.kkt_max, found.status.count("solved"), peak, phi.nbytes)


def measure_apart(images: int, dim: int, classes: int, job: JobContext) -> BenchRow:
    """`measure_large` in another process."""
    job.note(f"solving {classes} classes, {dim}-d, {images} images")
    code = (
        f"from bdshift.bench.large import measure_large; measure_large({images}, {dim}, {classes})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    seconds, kkt, solved, peak = float(done[0]), float(done[1]), int(done[2]), float(done[3])
    return BenchRow(
        f"exact solve, C = {classes}, d = {dim}, N = {images:,}",
        f"{seconds:.1f} s",
        f"{solved} classes solved, KKT residual {kkt:.0e}, peak memory {peak / GIB:.2f} GiB",
    )
