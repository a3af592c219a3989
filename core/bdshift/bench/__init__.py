"""``bdshift bench``: the measurements behind the claims about speed and false alarms."""

from __future__ import annotations

import platform
from dataclasses import dataclass

import torch

from bdshift.audit import versions
from bdshift.bench.drawn import IMAGES, BenchRow
from bdshift.bench.false_alarms import measure_false_alarms
from bdshift.bench.large import measure_apart
from bdshift.bench.methods import measure_methods
from bdshift.bench.speed import measure_import, measure_scan
from bdshift.devices import pick_device
from bdshift.jobs import SILENT, JobContext

__all__ = ["Bench", "BenchRow", "as_markdown", "run_bench"]


@dataclass(frozen=True)
class Bench:
    """One run: ``speed``, ``methods`` of purification, and ``false_alarms`` by number of classes
    and rule.
    """

    speed: tuple[BenchRow, ...]
    methods: tuple[BenchRow, ...]
    false_alarms: dict[int, dict[str, float]]


def run_bench(*, device: str = "auto", large: bool = False, job: JobContext = SILENT) -> Bench:
    """Measure everything; with ``large`` also C = 1000, d = 2048, N = 50 000: minutes more."""
    where = pick_device(device)
    speed = [measure_import(), *measure_scan(where, job), measure_apart(2500, 512, 100, job)]
    if large:
        speed.append(measure_apart(50_000, 2048, 1000, job))
    return Bench(tuple(speed), tuple(measure_methods(where, job)), measure_false_alarms(job))


def as_markdown(bench: Bench, command: str) -> str:
    """All tables as Markdown, with what they were measured on."""
    about = versions()
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    rules = list(next(iter(bench.false_alarms.values())))
    lines = [
        "# Benchmark",
        "",
        f"`{command}` on {machine}; Python {about['python']}, torch {about['torch']}, "
        f"bdshift {about['bdshift']}.",
        "",
        "## Speed",
        "",
        f"Medians of one run; {IMAGES} images, ResNet-18 with 64 to 512 channels, 32×32.",
        "",
        "| what | | |",
        "|---|---:|---|",
        *(f"| {row.what} | {row.value} | {row.note} |" for row in bench.speed),
        "",
        "## Purification",
        "",
        "The demo's victim (ResNet-18 of 16 to 128 channels) and 1200 drawn signs, a fifth of them "
        "held out; each method with its defaults, choosing included.",
        "",
        "| method | | |",
        "|---|---:|---|",
        *(f"| {row.what} | {row.value} | {row.note} |" for row in bench.methods),
        "",
        "## False alarms",
        "",
        "Share of models that are flagged when their norms are independent normal values, by rule.",
        "",
        f"| classes | {' | '.join(rules)} |",
        f"|---:|{'---:|' * len(rules)}",
        *(
            f"| {classes} | {' | '.join(f'{shares[rule]:.1%}' for rule in rules)} |"
            for classes, shares in bench.false_alarms.items()
        ),
    ]
    return "\n".join(lines) + "\n"
