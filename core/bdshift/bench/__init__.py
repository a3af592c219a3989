"""``bdshift bench``: the measurements behind the claims about speed and false alarms."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bdshift.audit import versions
from bdshift.bench.drawn import IMAGES, BenchRow
from bdshift.bench.false_alarms import measure_false_alarms
from bdshift.bench.inversion import measure_inversion
from bdshift.bench.large import measure_apart
from bdshift.bench.methods import measure_methods
from bdshift.bench.speed import measure_import, measure_scan
from bdshift.detect.detectors.neural_cleanse import NeuralCleanse
from bdshift.devices import pick_device
from bdshift.jobs import SILENT, JobContext

__all__ = ["Bench", "BenchRow", "as_markdown", "run_bench", "run_inversion"]


@dataclass(frozen=True)
class Bench:
    """One run: ``speed``, ``methods`` of purification, and ``false_alarms`` by number of classes
    and rule; or ``inversion``, searches for triggers.
    """

    speed: tuple[BenchRow, ...] = ()
    methods: tuple[BenchRow, ...] = ()
    false_alarms: dict[int, dict[str, float]] = field(default_factory=dict)
    inversion: tuple[BenchRow, ...] = ()


def run_bench(*, device: str = "auto", large: bool = False, job: JobContext = SILENT) -> Bench:
    """Measure everything but searches for triggers; with ``large`` also C = 1000, d = 2048,
    N = 50 000: minutes more.
    """
    where = pick_device(device)
    speed = [measure_import(), *measure_scan(where, job), measure_apart(2500, 512, 100, job)]
    if large:
        speed.append(measure_apart(50_000, 2048, 1000, job))
    return Bench(tuple(speed), tuple(measure_methods(where, job)), measure_false_alarms(job))


def run_inversion(
    model: Path,
    images: Path,
    yardstick: NeuralCleanse | None = None,
    *,
    device: str = "auto",
    job: JobContext = SILENT,
) -> Bench:
    """Search for triggers of all classes of a checkpoint, as we do and as Neural Cleanse does: a
    few minutes to hours, nearly all of it for the latter.
    """
    found = measure_inversion(model, images, pick_device(device), yardstick or NeuralCleanse(), job)
    return Bench(inversion=tuple(found))


def as_markdown(bench: Bench, command: str) -> str:
    """The tables of what was measured as Markdown, with what that was on."""
    about = versions()
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    lines = [
        "# Benchmark",
        "",
        f"`{command}` on {machine}; Python {about['python']}, torch {about['torch']}, "
        f"bdshift {about['bdshift']}.",
        *_table(
            "Speed",
            f"Medians of one run; {IMAGES} images, ResNet-18 with 64 to 512 channels, 32×32.",
            "what", bench.speed,
        ),
        *_table(
            "Purification",
            "The demo's victim (ResNet-18 of 16 to 128 channels) and 1200 drawn signs, a fifth of "
            "them held out; each method with its defaults, choosing included.",
            "method", bench.methods,
        ),
        *_table(
            "A trigger for every class",
            "Same network, same images, same run. A trigger works if it sends 80% of unused images "
            "of other classes to its class.",
            "search", bench.inversion,
        ),
        *_false_alarms(bench.false_alarms),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _table(title: str, about: str, first: str, rows: tuple[BenchRow, ...]) -> list[str]:
    """A section, if anything of it was measured."""
    if not rows:
        return []
    return [
        "", f"## {title}", "", about, "", f"| {first} | | |", "|---|---:|---|",
        *(f"| {row.what} | {row.value} | {row.note} |" for row in rows),
    ]  # fmt: skip


def _false_alarms(shares: dict[int, dict[str, float]]) -> list[str]:
    if not shares:
        return []
    rules = list(next(iter(shares.values())))
    return [
        "",
        "## False alarms",
        "",
        "Share of models that are flagged when their norms are independent normal values, by rule.",
        "",
        f"| classes | {' | '.join(rules)} |",
        f"|---:|{'---:|' * len(rules)}",
        *(
            f"| {classes} | {' | '.join(f'{of[rule]:.1%}' for rule in rules)} |"
            for classes, of in shares.items()
        ),
    ]
