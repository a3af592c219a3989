"""What became of models under each condition, as a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bdshift.lab.robustness import RobustnessRow
from bdshift.lab.truths import CLEAN_KINDS
from bdshift.text import joined

_VICTIMS = ("named", "wrong class", "could not tell", "nothing", "refused")
_CLEAN = ("alarm", "could not tell", "nothing", "refused")


def outcome(row: RobustnessRow) -> str:
    """What became of a model: named, wrong class, alarm, could not tell, nothing, or refused."""
    if row.error:
        return "refused"
    if row.level != "backdoored":
        return "could not tell" if row.level == "inconclusive" else "nothing"
    if _is_clean(row):
        return "alarm"
    targets = _classes(row.targets)
    return "named" if not targets or targets & _classes(row.suspected) else "wrong class"


def page(rows: Iterable[RobustnessRow]) -> str:
    """Markdown. Victims whose attack did not take are left out."""
    kept = [row for row in rows if row.took == "True"]
    parts = ["# Verdicts with the images that a user may bring", "", *_by_condition(kept)]
    parts += ["", "## Why it could not tell", "", *_doubts(kept)]
    parts += ["", "## Every wrong class and every alarm", "", *_wrong(kept)]
    return joined(parts) + "\n"


def _by_condition(rows: Sequence[RobustnessRow]) -> Iterator[str]:
    yield (
        f"| condition | accuracy | victims | {' | '.join(_VICTIMS)} | clean | "
        f"{' | '.join(_CLEAN)} | norms alone: named | alarms | seconds |"
    )
    yield "|---|---|" + "---:|" * (5 + len(_VICTIMS) + len(_CLEAN))
    for condition in dict.fromkeys(row.condition for row in rows):
        some = [row for row in rows if row.condition == condition]
        victims = [row for row in some if not _is_clean(row)]
        clean = [row for row in some if _is_clean(row)]
        cells = [
            f"`{condition}`", _span(some), *_counts(victims, _VICTIMS), *_counts(clean, _CLEAN),
            str(sum(bool(_classes(row.targets) & _classes(row.first)) for row in victims)),
            str(sum(bool(row.first) for row in clean)),
            _middle([float(row.seconds) for row in some if row.seconds]),
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _counts(rows: Sequence[RobustnessRow], fates: Sequence[str]) -> list[str]:
    found = Counter(map(outcome, rows))
    return [str(len(rows)), *(str(found[fate]) for fate in fates)]


def _span(rows: Sequence[RobustnessRow]) -> str:
    """Smallest and largest accuracy."""
    values = sorted(float(row.accuracy) for row in rows if row.accuracy)
    return f"{values[0]:.2f}–{values[-1]:.2f}" if values else "–"


def _middle(values: Sequence[float]) -> str:
    return f"{sorted(values)[len(values) // 2]:.0f}" if values else "–"


def _doubts(rows: Sequence[RobustnessRow]) -> Iterator[str]:
    yield "| condition | decisive reason | victims | clean |"
    yield "|---|---|---:|---:|"
    found: Counter[tuple[str, str]] = Counter()
    clean: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if outcome(row) in ("could not tell", "refused"):
            key = row.condition, _reason(row)
            found[key] += 1
            clean[key] += _is_clean(row)
    for key, count in found.items():
        yield f"| `{key[0]}` | {key[1]} | {count - clean[key]} | {clean[key]} |"


def _reason(row: RobustnessRow) -> str:
    """The decisive doubt; or, of a scan that was refused, what was wrong, without its numbers."""
    if row.error:
        return re.sub(r"[0-9][0-9,]*", "…", row.error.partition(". ")[0])
    return f"`{row.codes.split()[0]}`"


def _wrong(rows: Iterable[RobustnessRow]) -> Iterator[str]:
    yield "| condition | model | kind | targets | outcome | suspected | accuracy | p | codes |"
    yield "|---|---|---|---|---|---|---:|---:|---|"
    for row in rows:
        fate = outcome(row)
        if fate in ("wrong class", "alarm"):
            yield (
                f"| `{row.condition}` | {row.model} | {row.kind} | {row.targets or '–'} | {fate} | "
                f"{row.suspected} | {row.accuracy} | {row.p} | {row.codes} |"
            )


def _is_clean(row: RobustnessRow) -> bool:
    return row.kind in CLEAN_KINDS


def _classes(text: str) -> set[str]:
    return {one for one in text.split(";") if one}
