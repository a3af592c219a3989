"""Unlearns the triggers of victims whose truth is known, by TBAR and its rivals, and writes a row
for each run: accuracy, attack success and recall of the target before and after, on images that no
method has seen.

    python tools/unlearning.py OUT.csv CLEAN.zip TEST.zip VICTIM.pth…

Each victim has its card beside it, as `bdshift lab` leaves it: its trigger is the known one. TBAR
is also given the one that is recovered from the network. Rows that are in OUT.csv are kept, so that
a run can be resumed. The curve of each vector with seed 0 is drawn into a folder beside OUT.csv,
``curves``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bdshift.audit import Purification, ScanSettings, scan_opened
from bdshift.audit.purifying import purify_model
from bdshift.audit.recovering import recover_trigger
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.images.collection import open_images
from bdshift.purification import METHODS
from bdshift.purification.multiples import ALPHA, multiples
from bdshift.recovery.kept import kept_trigger
from bdshift.reports.multiples_svg import draw_multiples
from bdshift.reports.svg import as_file
from bdshift.triggers import Trigger, card_target, parse_trigger

_SAMPLE = 2000
_RUNS = (
    ("tbar", "known"), ("tbar", "recovered"), ("relabeling", "known"), ("gradient-ascent", "known"),
    ("fine-tuning", "none"), ("cleanclip", "none"), ("roclip", "none"), ("shift-tuning", "none"),
)  # fmt: skip
_SEEDS = {"tbar": (0, 1, 2)}
COLUMNS = (
    "victim", "method", "trigger", "seed", "acc before", "acc after", "asr before", "asr after",
    "ra after", "recall before", "recall after", "alpha", "asr of the recovered", "said",
    "seconds",
)  # fmt: skip


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def runs_of(
    victim: Path, clean: Path, test: Path, done: set[str]
) -> Iterator[tuple[dict[str, str], Purification]]:
    """A row for each run on a victim that is not ``done``, and what it has made."""
    missing = [
        (method, source, seed)
        for method, source in _RUNS
        for seed in _SEEDS.get(method, (0,))
        if f"{victim.parent.name} {method} {source} {seed}" not in done
    ]
    if not missing:
        return
    card = str(victim.with_name("card.json"))
    known = parse_trigger(card)
    audit, material = scan_opened(
        open_checkpoint(victim), open_images(clean), ScanSettings(sample=_SAMPLE)
    )
    target = audit.images.class_names.index(card_target(card))
    recovered: Trigger | None = None
    for method, source, seed in missing:
        if source == "recovered" and recovered is None:
            found = recover_trigger(audit, material, target)
            recovered, worked = kept_trigger(found), found.asr
        given = {"known": known, "recovered": recovered, "none": None}[source]
        made = purify_model(
            replace(audit, tac=()), material, METHODS.parse(method), target, trigger=known,
            unlearn=given, test=test, seed=seed,
        )  # fmt: skip
        row = {
            "victim": victim.parent.name, "method": method, "trigger": source, "seed": str(seed),
            "asr of the recovered": _share(worked) if source == "recovered" else "",
            **_figures(made),
        }  # fmt: skip
        yield row, made


def _figures(made: Purification) -> dict[str, str]:
    result, before, after = made.result, made.before, made.after
    target = result.target
    kept = next(row.step.figures for row in result.rows if row.step.number == result.kept)
    said = "" if result.conclusion is None else str(result.conclusion).partition(":")[0]
    return {
        "acc before": _share(before.acc), "acc after": _share(after.acc),
        "asr before": _share(before.asr), "asr after": _share(after.asr),
        "ra after": _share(after.ra), "recall before": _share(before.by_class[target]),
        "recall after": _share(after.by_class[target]),
        "alpha": f"{kept[ALPHA]:.4g}" if ALPHA in kept else "", "said": said,
        "seconds": f"{result.seconds:.0f}",
    }  # fmt: skip


def _draw(made: Purification, path: Path) -> None:
    """The curve of a vector, as a picture; nothing for methods that have none."""
    steps = [row.step for row in made.result.rows]
    curve = multiples(steps)
    if curve:
        words = ("accuracy", "ASR", "target's recall", "control, without the trigger")
        path.parent.mkdir(exist_ok=True)
        drawn = draw_multiples(curve, multiples(steps, control=True), words)
        path.write_text(as_file(drawn), encoding="utf-8")


def main(out: Path, clean: Path, test: Path, victims: list[Path]) -> None:
    """Add a row for every run that has none yet."""
    rows: list[dict[str, str]] = []
    if out.exists():
        with out.open(newline="", encoding="utf-8") as stream:
            rows.extend(csv.DictReader(stream))
    for victim in victims:
        keys = ("victim", "method", "trigger", "seed")
        done = {" ".join(row[key] for key in keys) for row in rows}
        for row, made in runs_of(victim, clean, test, done):
            rows.append(row)
            if row["seed"] == "0":
                name = f"{row['victim']}-{row['trigger']}.svg"
                _draw(made, out.with_name("curves") / name)
            print(*row.values(), sep="\t", flush=True)
            with out.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), list(map(Path, sys.argv[4:])))
