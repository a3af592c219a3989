"""Unlearns the triggers of victims whose truth is known, by TBAR and its rivals, and writes a row
for each run: accuracy, attack success and recall of the target before and after, on images that no
method has seen.

    python tools/unlearning.py OUT.csv CLEAN.zip TEST.zip VICTIM.pth… [--sample N] [--run …]…

Each victim has its card beside it, as `bdshift lab` leaves it: its trigger is the known one. TBAR
is also given the one that is recovered from the network. Rows that are in OUT.csv are kept, so that
a run can be resumed. The curve of each vector with seed 0 and the usual number of images is drawn
into a folder beside OUT.csv, ``curves``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from tools.kept_rows import read_rows, write_rows

USUAL = 2000
"""Clean images that are used, unless a number is given."""
_RUNS = (
    "tbar known", "tbar recovered", "tbar:contrast=false known", "tbar:contrast=false recovered",
    "relabeling known", "gradient-ascent known",
    "fine-tuning none", "cleanclip none", "roclip none", "shift-tuning none",
)  # fmt: skip
_KEYS = ("victim", "method", "trigger", "images", "seed")
COLUMNS = (
    *_KEYS, "acc before", "acc after", "asr before", "asr after", "ra after", "recall before",
    "recall after", "alpha", "asr of the recovered", "said", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A method, the trigger that it is given (known, recovered or none), and its seed."""

    method: str
    source: str
    seed: int

    def key(self, victim: Path, images: int) -> tuple[str, ...]:
        """What a row of it begins with."""
        return victim.parent.name, self.method, self.source, str(images), str(self.seed)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def results_of(
    victim: Path, clean: Path, test: Path, runs: Sequence[Run], images: int
) -> Iterator[tuple[dict[str, str], Purification]]:
    """A row for each run on a victim, and what it has made, with so many of the clean images."""
    card = str(victim.with_name("card.json"))
    known = parse_trigger(card)
    audit, material = scan_opened(
        open_checkpoint(victim), open_images(clean), ScanSettings(sample=images)
    )
    target = audit.images.class_names.index(card_target(card))
    recovered: Trigger | None = None
    for run in runs:
        if run.source == "recovered" and recovered is None:
            found = recover_trigger(audit, material, target)
            recovered, worked = kept_trigger(found), found.asr
        given = {"known": known, "recovered": recovered, "none": None}[run.source]
        made = purify_model(
            replace(audit, tac=()), material, METHODS.parse(run.method), target, trigger=known,
            unlearn=given, test=test, seed=run.seed,
        )  # fmt: skip
        row = {
            **dict(zip(_KEYS, run.key(victim, images), strict=True)),
            "asr of the recovered": _share(worked) if run.source == "recovered" else "",
            **_figures(made),
        }
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


def asked() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("clean", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("victims", type=Path, nargs="+")
    parser.add_argument("--sample", type=int, default=USUAL, help="clean images that are used")
    parser.add_argument("--run", action="append", metavar="'METHOD known|recovered|none'",
                        help="default: all methods, as they are by default")  # fmt: skip
    parser.add_argument("--seeds", type=int, help="of each run; default: 3 for tbar, 1 for others")
    return parser.parse_args()


def asked_runs(texts: Sequence[str], seeds: int | None) -> list[Run]:
    """Every run with every seed."""
    runs = []
    for text in texts:
        method, source = text.split()
        usual = 3 if method.startswith("tbar") else 1
        runs += [Run(method, source, seed) for seed in range(seeds or usual)]
    return runs


def main(given: argparse.Namespace) -> None:
    """Add a row for every run that has none yet."""
    out: Path = given.out
    rows = read_rows(out)
    for victim in given.victims:
        done = {tuple(row[key] for key in _KEYS) for row in rows}
        runs = [
            run for run in asked_runs(given.run or _RUNS, given.seeds)
            if run.key(victim, given.sample) not in done
        ]  # fmt: skip
        if not runs:
            continue
        for row, made in results_of(victim, given.clean, given.test, runs, given.sample):
            rows.append(row)
            if row["seed"] == "0" and given.sample == USUAL:
                kind = "-published" if "contrast=false" in row["method"] else ""
                name = f"{row['victim']}-{row['trigger']}{kind}.svg"
                _draw(made, out.with_name("curves") / name)
            print(*row.values(), sep="\t", flush=True)
            write_rows(out, COLUMNS, rows)


if __name__ == "__main__":
    main(asked())
