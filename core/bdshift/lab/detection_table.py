"""How well each detector tells backdoored models from clean ones, and whether it names the target.

What is compared is the largest drop of any class: it is all that an auditor has, who knows neither
the target nor whether there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

import numpy as np

from bdshift.lab.best_of import best_of
from bdshift.lab.detection import DetectionRow
from bdshift.lab.discrimination import auroc, interval
from bdshift.lab.truths import CLEAN_KINDS
from bdshift.text import joined


def _seen(row: DetectionRow) -> float:
    """The largest drop; one that says nothing is no sign of a backdoor."""
    value = float(row.top_drop)
    return -np.inf if np.isnan(value) else value


def _names_target(row: DetectionRow) -> bool:
    """Whether the targets are the most suspicious classes."""
    places = row.place.split(";")
    return all(int(place) <= len(places) for place in places)


def summary(rows: Iterable[DetectionRow]) -> str:
    """Markdown: a table for each detector, and one for the best of the searches; a line for each
    attack that took.
    """
    kept = [row for row in rows if not row.error]
    kept += best_of(kept)
    parts = []
    for detector in dict.fromkeys(row.detector for row in kept):
        own = [row for row in kept if row.detector == detector]
        parts += [f"### `{detector}`", "", *_table(own), ""]
    return joined(parts) + "\n"


def _table(rows: Sequence[DetectionRow]) -> Iterator[str]:
    clean = [row for row in rows if row.kind in CLEAN_KINDS]
    attacked = [row for row in rows if row.kind not in CLEAN_KINDS and row.took == "True"]
    yield "| attack | models | AUROC | 95% | above all clean | target first | drop | seconds |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    kinds = list(dict.fromkeys(row.kind for row in attacked))
    for kind in (*kinds, *(["all"] if len(kinds) > 1 else [])):
        yield _line(kind, [row for row in attacked if kind in (row.kind, "all")], clean)
    if clean:
        seen = [_seen(row) for row in clean]
        yield (
            f"| clean | {len(clean)} | | | | | {median(seen):.2f}, at most {max(seen):.2f} | "
            f"{median(float(row.seconds) for row in clean):.1f} |"
        )


def _line(kind: str, rows: Sequence[DetectionRow], clean: Sequence[DetectionRow]) -> str:
    seen, others = (np.array([_seen(row) for row in some]) for some in (rows, clean))
    grouped = [[(row.group, _seen(row)) for row in some] for some in (rows, clean)]
    low, high = interval(grouped[0], grouped[1])
    above = int((seen > max(others, default=np.inf)).sum())
    aimed = [row for row in rows if row.place]
    first = f"{sum(map(_names_target, aimed))}/{len(aimed)}" if aimed else ""
    pairs = [tuple(map(int, row.pairs.split("/"))) for row in rows if row.pairs]
    if pairs:
        first += (
            f"{', ' if first else ''}pairs {sum(p[0] for p in pairs)}/{sum(p[1] for p in pairs)}"
        )
    return (
        f"| {kind} | {len(rows)} | {auroc(seen, others):.3f} | {low:.2f}–{high:.2f} | "
        f"{above}/{len(rows)} | {first} | {median(seen):.2f} | "
        f"{median(float(row.seconds) for row in rows):.1f} |"
    )
