"""Everything that waits for a GPU, in one resumable run; README.md beside it says how.

python tools/gpu/run.py WORK --train train.zip --test test.zip [--minutes 9] [--only checks]
python tools/gpu/run.py WORK --dry-run        every kind of step, tiny, on the CPU
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tools.gpu import checks, models, papers
from tools.gpu.crew import Processes
from tools.gpu.plan import Plan, prepare
from tools.gpu.steps import Alone, Clock, Crew, Ledger, WorkStep, carry_out, summary


def all_steps(plan: Plan) -> list[WorkStep]:
    """The steps of all stages, the most valuable first."""
    prepare(plan)
    return [*checks.steps(plan), *papers.steps(plan), *models.steps(plan)]


def by_name(plan: Plan) -> Mapping[str, WorkStep]:
    """The same by name; what each process of a crew begins with."""
    return {one.name: one for one in all_steps(plan)}


def chosen(steps: Sequence[WorkStep], only: Sequence[str]) -> list[WorkStep]:
    """Steps of which a part of the name is asked for, and what they need; all without any."""
    if not only:
        return list(steps)
    known = {one.name: one for one in steps}
    wanted = [one.name for one in steps if any(text in one.name for text in only)]
    for name in wanted:
        wanted += [need for need in known[name].needs if need not in wanted]
    return [one for one in steps if one.name in wanted]


def perform(
    plan: Plan,
    only: Sequence[str],
    minutes: float,
    workers: int,
    *,
    crew: Crew | None = None,
    clock: Clock = time.monotonic,
) -> str:
    """Do what fits into the time, and return the summary, which is in ``results`` too."""
    ends = clock() + 60 * minutes
    plan.results.mkdir(parents=True, exist_ok=True)
    steps = chosen(all_steps(plan), only)
    ledger = Ledger(plan.results / "times.jsonl")
    if crew is None:
        crew = Alone(clock) if workers == 1 else Processes(workers, partial(by_name, plan))
    try:
        carry_out(steps, crew, ledger, ends, clock)
    finally:
        crew.abandon()
    text = summary(steps, ledger)
    (plan.results / "summary.txt").write_text(text + "\n", "utf-8")
    return text


def photos_of_signs(plan: Plan) -> Plan:
    """Drawn signs in place of photos, for a dry run without any."""
    from bdshift.images.signs import write_signs

    for name, split, each in (("train", "train", 20), ("test", "test", 5)):
        folder = plan.work / name
        if not folder.exists():
            write_signs(folder, each, split=split)  # type: ignore[arg-type]
    return replace(plan, train=str(plan.work / "train"), test=str(plan.work / "test"))


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="What waits for a GPU, the most valuable first.")
    parser.add_argument("work", type=Path, help="for everything; keep the same relative path")
    parser.add_argument("--train", default="", help="photos to train on: a zip of class folders")
    parser.add_argument("--test", default="", help="photos to test on")
    parser.add_argument("--digits", default="", help="digits, for the zoo")
    parser.add_argument("--minutes", type=float, default=9, help="begin nothing that ends later")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="steps with this in their name, and what they need",
    )
    parser.add_argument("--workers", type=int, default=3, help="processes at the same time")
    parser.add_argument(
        "--scale", default="paper-30", help="of the tables: paper-30, paper-16, paper"
    )
    parser.add_argument("--compile", dest="compiled", choices=("auto", "yes", "no"), default="auto")
    parser.add_argument("--trained", type=Path, help="a table of models of the zoo to leave out")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dry-run", action="store_true", help="tiny, on the CPU")
    parser.add_argument("--list", action="store_true", help="only list the steps")
    given = parser.parse_args(arguments)
    plan = Plan(
        given.work,
        given.train,
        given.test,
        given.digits,
        scale=given.scale,
        compiled=given.compiled,
        trained=given.trained,
        dry=given.dry_run,
        device="cpu" if given.dry_run else given.device,
    )
    if plan.dry and not plan.train:
        plan = photos_of_signs(plan)
    if given.list:
        ledger = Ledger(plan.results / "times.jsonl")
        for step in sorted(chosen(all_steps(plan), given.only), key=lambda one: one.rank):
            print(f"{'done' if step.is_done else f'{ledger.estimate(step):.0f} s':>7}  {step.name}")
        return 0
    print(perform(plan, given.only, given.minutes, given.workers), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
