"""Writes the tables of docs/scale.md into it.

    python tools/scale_table.py [--count]

With --count, the work of each network is counted again, half a minute. The other numbers are from
`tools/scale_measure.py`, and from `tools/fleet_simulation.py` with --from and --scenarios.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.scale.costs import write_networks
from tools.scale.page import Numbers, with_tables

DOCS = Path(__file__).parents[1] / "docs"


def main(*args: str) -> None:
    results, page = DOCS / "results", DOCS / "scale.md"
    if "--count" in args:
        write_networks(results / "scale" / "networks.csv")
    page.write_text(with_tables(page.read_text("utf-8"), Numbers(results)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
