"""The tables of docs/scale.md, from what was measured, counted and simulated."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bdshift.fleet.ranking import q_values
from bdshift.shift.thumbnails import THUMBNAIL
from bdshift.verdict.clean_models import shipped_table
from tools.page_tables import table, with_table
from tools.scale.costs import (
    CLASSES,
    SMALL,
    CountedNetwork,
    measured_searches,
    read_networks,
)
from tools.scale.million import (
    CORE_DOLLARS,
    GPU_AUDIT_SECONDS,
    GPU_DOLLARS,
    GPU_FLOPS,
    IMAGES,
    forward_images,
    read_json,
    search_flops,
)

MODELS = 1_000_000
POWER = 0.8
"""Share of the backdoored models with more evidence than any clean one. Assumed."""
_ENOUGH_Q = 0.1
_SOLVER_STATE = 2**28  # bytes, as `bdshift.shift.exact` limits it
_ALIKE = {"ResNet-152": "ResNet-50", "ConvNeXt-L": "ViT-L/16"}
_RATED = {
    SMALL: SMALL, "EfficientNet-B0": "efficientnet_b0", "ResNet-50": "resnet50",
    "ViT-L/16": "vit_b_16",
}  # fmt: skip
"""The rate that each network is computed with."""


@dataclass(frozen=True)
class Numbers:
    """All that the tables are made of, from the folder docs/results."""

    folder: Path

    @property
    def measured(self) -> Mapping[str, Any]:
        """By `tools/scale_measure.py`."""
        found: Mapping[str, Any] = read_json(self.folder / "scale" / "measured.json")
        return found

    @property
    def networks(self) -> list[CountedNetwork]:
        """By `tools/scale_table.py --count`."""
        return list(read_networks(self.folder / "scale" / "networks.csv"))

    def scan(self, one: CountedNetwork) -> float:
        """FLOPs of an audit without searches."""
        return forward_images(self.measured) * IMAGES * one.forward

    def searched(self, one: CountedNetwork) -> float:
        """FLOPs of an audit with all searches."""
        rows = self.folder / "verdict" / "zoo.csv"
        return self.scan(one) + search_flops(one, measured_searches(rows))

    @property
    def beside(self) -> float:
        """Seconds of the measured audit beside the network's work."""
        audit = self.measured["audit"]
        return float(audit["processor_seconds"] - audit["flops"] / self.measured["rates"][SMALL])

    def core_seconds(self, one: CountedNetwork, flops: float) -> float:
        """Of an audit on one core."""
        rate = self.measured["rates"][_RATED[_ALIKE.get(one.name, one.name)]]
        return self.beside + float(flops / rate)


def figure(value: float) -> str:
    """Two figures, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    return f"{round(value, 1 - math.floor(math.log10(abs(value)))):,.{digits}f}"


def line(fixed: float, each: float) -> str:
    """As a function of the number of classes."""
    terms = [f"{fixed:,.0f}"] * bool(fixed) + [f"{each:,.0f} C"] * bool(each)
    return " + ".join(terms)


def size(value: float) -> str:
    """Bytes."""
    for unit, power in ("TB", 1e12), ("GB", 1e9), ("MB", 1e6):
        if value >= power:
            return f"{figure(value / power)} {unit}"
    return f"{figure(value / 1e3)} kB"


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days."""
    for unit, long in ("days", 86400.0), ("h", 3600.0), ("min", 60.0):
        if seconds >= 2 * long:
            return f"{figure(seconds / long)} {unit}"
    return f"{figure(seconds)} s"


def measured_table(numbers: Numbers) -> str:
    found = numbers.measured
    processes, driver, audit = found["processes"], found["driver"], found["audit"]
    rows = [
        ["load of its two cores", f"{found['load_before']:.1f} to {found['load_after']:.1f}"],
        ["start of the command, of a host", f"{figure(processes['command'])} s, "
         f"{figure(processes['host'])} s"],
        ["fork of an audit", f"{1e3 * processes['fork']:.0f} ms"],
        ["decoding an image of 32×32", f"{1e3 * processes['decoded_image']:.2f} ms"],
        ["driver, for each model, of one worker and of 1,000",
         f"{1e3 * driver['model_1_workers']:.0f} ms, {1e3 * driver['model_1000_workers']:.0f} ms"],
        ["of it, writing the row", f"{1e3 * driver['row']:.0f} ms"],
        ["driver, for a model whose result is known", f"{1e3 * driver['known_model']:.1f} ms"],
        ["hashing a file", f"{size(driver['hashed_bytes_per_second'])}/s"],
        ["audit of the demo's victim, without searches",
         f"{audit['processor_seconds']:.1f} s, {audit['flops'] / 1e9:.0f} GFLOPs: "
         f"{forward_images(found):.1f} passes of its images"],
        ["of it, beside the network's work", f"{numbers.beside:.1f} s"],
        ["its audit file, without and with embeddings",
         f"{size(audit['bytes'])}, {size(audit['bytes_with_embeddings'])}"],
        *([f"a core, {name}", f"{rate / 1e9:.0f} GFLOPS"] for name, rate in found["rates"].items()),
    ]  # fmt: skip
    return table("what|", rows)


def bytes_table(numbers: Numbers) -> str:
    rows = []
    for one in numbers.networks:
        kept = IMAGES * (4 * (one.dim + CLASSES) + 3 * min(THUMBNAIL, one.size) ** 2)
        rows.append(
            [one.name, f"{one.size}²", size(one.bytes), size(IMAGES * 3 * one.size**2), size(kept)]
        )
    return table("network|images|checkpoint|images, decoded|embeddings, in memory", rows)


def scan_table(numbers: Numbers) -> str:
    return _work(numbers, numbers.scan, ())


def searches_table(numbers: Numbers) -> str:
    budgets = ("`--budget` for all three", "how many by default")
    return _work(numbers, numbers.searched, budgets)


def _work(numbers: Numbers, work: Callable[[CountedNetwork], float], more: tuple[str, ...]) -> str:
    rows = []
    for one in numbers.networks:
        flops = work(one)
        core, gpu = numbers.core_seconds(one, flops), GPU_AUDIT_SECONDS + flops / GPU_FLOPS
        extra = [f"{figure(one.budget)}", str(one.kinds)] if more else []
        rows.append([
            one.name, figure(one.forward / 1e9), figure(flops / 1e12), duration(core),
            duration(gpu), figure(1000 * core / 3600 * CORE_DOLLARS),
            figure(1000 * gpu / 3600 * GPU_DOLLARS), *extra,
        ])  # fmt: skip
    return table(
        "|".join([
            "network", "GFLOPs an image", "TFLOPs an audit", "one core", "a GPU",
            "$ for 1,000, core", "$ for 1,000, GPU", *more,
        ]), rows,
    )  # fmt: skip


def passes_table(numbers: Numbers) -> str:
    rows = [
        [f"`{one.kind}`", line(one.fixed, one.each), line(one.fixed_back, one.each_back),
         f"{one.forward(CLASSES) + one.backward(CLASSES):,.0f}"]
        for one in measured_searches(numbers.folder / "verdict" / "zoo.csv")
    ]  # fmt: skip
    return table(f"search|images forward|images back|together, C = {CLASSES}", rows)


def solver_table(numbers: Numbers) -> str:
    rows = []
    for one in numbers.measured["solver"]:
        classes, dim, images = (int(one[key]) for key in ("classes", "dim", "images"))
        state = min(_SOLVER_STATE, 8 * classes * max(images, 4 * classes))
        held = 8 * (3 * images * classes + classes * dim) + state
        rows.append([
            f"C = {classes}, d = {dim}, N = {images:,}", figure(one["flops"] / 1e9),
            figure(one["flops"] / (images * classes**2)), f"{figure(one['seconds'])} s", size(held),
        ])  # fmt: skip
    return table("problem|GFLOPs|of N·C²|one core|memory", rows)


def check_table(numbers: Numbers) -> str:
    rows = []
    for path in sorted((numbers.folder / "scale").glob("fleet-*.json"), key=lambda one: one.stem):
        one = read_json(path)
        measured, drawn = one["measured"], one["drawn"]
        replayed, whole = one["replayed"], one["whole_command"]
        rows.append([
            f"{one['audits']} audits, {one['workers']} at a time",
            f"{measured['span_seconds']:.1f} s", f"{replayed['span_seconds']:.1f} s",
            f"{replayed['error']:+.1%}".replace("-", "−"),
            f"{drawn['from']:.0f}–{drawn['to']:.0f} s, of {drawn['times_of']}",
            f"{whole['measured_seconds']:.1f} s", f"{whole['replayed_seconds']:.1f} s",
            f"{whole['error']:+.1%}".replace("-", "−"),
        ])  # fmt: skip
    return table(
        "fleet|first to last audit|simulated|error|with times drawn|whole command|simulated|error",
        rows,
    )


def million_table(numbers: Numbers) -> str:
    rows = []
    with (numbers.folder / "scale" / "million.csv").open(newline="", encoding="utf-8") as stream:
        for one in csv.DictReader(stream):
            value = {key: float(one[key]) for key in one if key != "scenario"}
            lost = sum(value[f"share_{key}"] for key in ("lost_audits", "down", "start"))
            rows.append([
                one["scenario"], f"{value['gpus']:,.0f}", duration(value["makespan_seconds"]),
                f"{value['share_auditing']:.0%}", f"{value['share_driver']:.0%}",
                f"{value['share_download']:.0%}", f"{lost:.1%}",
                size(value["store_bytes_per_second"]) + "/s", f"{figure(value['dollars'])}",
            ])  # fmt: skip
    return table(
        "a million models|GPUs|takes|auditing|waits for driver|waits for store|lost|store gives|$",
        rows,
    )


def least_p() -> float:
    """The smallest p that the clean models which ship with bdshift allow."""
    return shipped_table().null(["mask"]).standing(math.inf).least


def p_for(share: float) -> float:
    """The p that the most suspicious of many models need for a q below 0.1, if a ``share`` is
    backdoored: their q is p / (p·(1 − share) + power·share).
    """
    return _ENOUGH_Q * POWER * share / (1 - _ENOUGH_Q * (1 - share))


def alarms_table(models: int = MODELS) -> str:
    """P as the table of clean models gives it, for models that are clean but for a share."""
    rng, least, rows = np.random.default_rng(0), least_p(), []
    for share in (0.1, 0.01, 0.001, 0.0001):
        bad = np.arange(models) < round(share * models)
        strong = bad & (rng.random(models) < POWER)
        p = np.where(strong, least, rng.random(models).clip(min=least))
        q = q_values(p.tolist())
        top = p == least
        rows.append([
            f"{figure(100 * share)}%", f"{int((~bad & (p < 0.05)).sum()):,}",
            f"{int(top.sum()):,}", f"{(~bad & top).sum() / top.sum():.0%}", f"{q.min():.2f}",
            f"{int((q < _ENOUGH_Q).sum()):,}", figure(p_for(share)),
        ])  # fmt: skip
    return table(
        "backdoored|clean, p < 0.05|at the least p|of these clean|their q|q < 0.1|"
        "p for q < 0.1", rows,
    )  # fmt: skip


def growth_table(numbers: Numbers) -> str:
    tables, audit = numbers.measured["tables"], numbers.measured["audit"]
    seconds = tables["ranking_seconds_by_rows"]
    most = max(seconds, key=int)
    rows = []
    for count in (10_000, 100_000, MODELS):
        pairs = (count / int(most)) ** 2
        rows.append([
            f"{count:,}",
            *(size(count * tables["bytes_of_row_by_classes"][one]) for one in ("10", "1000")),
            size(count * audit["bytes"]), size(count * audit["bytes_with_embeddings"]),
            duration(pairs * seconds[most]), size(4 * 8 * 1024 * count),
        ])  # fmt: skip
    return table(
        "models|SQLite, C = 10|C = 1000|audit files|with embeddings|table, one architecture|"
        "its memory", rows,
    )  # fmt: skip


TABLES: dict[str, Callable[[Numbers], str]] = {
    "measured": measured_table, "bytes": bytes_table, "scan": scan_table, "solver": solver_table,
    "passes": passes_table, "searches": searches_table, "check": check_table,
    "million": million_table, "growth": growth_table, "alarms": lambda _: alarms_table(),
}  # fmt: skip
"""By name. The page has each between `<!-- name -->` and `<!-- end -->`."""


def with_tables(page: str, numbers: Numbers) -> str:
    """The page with new tables."""
    for name, make in TABLES.items():
        page = with_table(page, name, make(numbers))
    return page
