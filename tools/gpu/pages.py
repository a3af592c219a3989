"""Pages from the results of a run: python tools/gpu/pages.py RESULTS OUT

For each scale of which there are rows, OUT gets a folder with the rows, the papers' tables (our
value beside the published one) and figures; besides, ``checks.md`` and the rows of the zoo.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bdshift.lab.protocol import scales
from bdshift.lab.rows import Places, Tables
from bdshift.outputs import Output
from tools.gpu import models

_TOLD = "off", "cosine", "after", "asr", "acc", "rooms", "eager", "compiled"
"""Figures of a check that the page has."""


def write(results: Path, out: Path) -> list[Path]:
    """Write all pages, and return those that can be read."""
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for folder in sorted((results / "tables").glob("*")):
        rows = sorted(folder.glob("*.json"))
        if folder.name not in scales() or not rows:
            continue
        into = out / folder.name
        into.mkdir(exist_ok=True)
        for row in rows:
            Output(into / row.name, overwrite=True).write(row.read_bytes())
        Tables(scales()[folder.name], Places("", "", into, into)).write_tables()
        made.append(into / "tables.md")
    if (results / "checks").is_dir():
        Output(out / "checks.md", overwrite=True).write_text(checks(results / "checks"))
        made.append(out / "checks.md")
    return made + models.tables(results, out)


def checks(folder: Path) -> str:
    """What was checked, on what, and what it took beside the CPU."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    failed = sorted(folder.glob("*.failed.txt"))
    lines = ["# Checks on a GPU", ""]
    if found:
        about = found[0]
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        lines += [f"`{about['command']}`, seed {about['seed']}, {about['device']}, {versions}.", ""]
    lines += ["| check | seconds | on the CPU | found |", "|---|---:|---:|---|"]
    lines += _rows(found)
    for path in failed:
        why = path.read_text("utf-8").strip().splitlines()[-1]
        lines.append(f"| {path.name.removesuffix('.failed.txt')} | | | **failed**: {why} |")
    return "\n".join(lines) + "\n"


def _rows(found: list[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        seconds = one.get("seconds")
        here, there = seconds, ""
        if isinstance(seconds, dict):
            there = seconds.get("cpu", "")
            here = next((value for name, value in seconds.items() if name != "cpu"), there)
        told = "; ".join(f"{key} {_short(one[key])}" for key in _TOLD if key in one)
        name = one["step"].partition("/")[2]
        yield f"| {name} | {_short(here)} | {_short(there)} | {told or 'runs'} |"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return "" if value is None else str(value)


if __name__ == "__main__":
    for page in write(Path(sys.argv[1]), Path(sys.argv[2])):
        print(page)
