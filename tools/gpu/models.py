"""Models of the zoo that the verdict is made from: many narrow networks at once, and what the
detectors say about each.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from bdshift.audit import ScanSettings
from bdshift.detect.detector import DETECTORS, Detector
from bdshift.jobs import JobContext
from bdshift.lab.detection import measure_detectors, read_rows, write_rows
from bdshift.lab.image_sets import Sizes, image_set
from bdshift.lab.protocol import TROJAN
from bdshift.lab.suite import ATTACKS, CLEAN, Victim
from bdshift.lab.suites import SUITES
from bdshift.lab.truths import known_as
from bdshift.lab.ways import WAYS
from bdshift.lab.zoo import Zoo, read_outcomes, write_outcomes
from bdshift.verdict.clean_models import shipped_table
from tools.gpu.plan import Plan, brief
from tools.gpu.steps import WorkStep

STAGE = "zoo"
_RANK = 20  # after the papers' tables
_TRAIN, _DETECT = 15.0, 60.0  # seconds, guessed
_SAMPLE = 1000
_TOGETHER = 8  # models that are trained before they are searched

SETS = f"{STAGE}/sets"
"""The step that makes the clean images to audit with."""


@cache
def _zoo(plan: Plan) -> Zoo:
    sizes = Sizes(240, 60) if plan.dry else Sizes()
    folder = plan.work / STAGE
    return Zoo(folder, plan.train, plan.test, plan.digits, sizes=sizes, device=plan.device)


def _chosen(plan: Plan) -> list[Victim]:
    """Models to train: those that are not trained elsewhere, and whose images there are."""
    suite = SUITES["verdict"]
    if plan.dry:
        small = [one for one in suite if (one.images, one.network) == ("cifar10", "resnet20")]
        wanted = next(one for one in small if not one.is_clean and one.attack != "Trojan")
        return [replace(wanted, way="short")]
    there = set()
    if plan.trained is not None:
        with plan.trained.open(newline="", encoding="utf-8") as stream:
            there = {row["name"] for row in csv.DictReader(stream)}
    return [
        one
        for one in suite
        if one.name not in there and (plan.digits or image_set(one.images).source != "mnist")
    ]


def _detectors(plan: Plan) -> list[Detector]:
    """Those that the shipped table of clean models compares, as they were used for it."""
    found = [DETECTORS.parse(one.detector) for one in shipped_table().scales.values()]
    return [brief(one, dry=True) for one in found] if plan.dry else found


def _outcome(plan: Plan, name: str) -> Path:
    return plan.results / STAGE / f"{name}.csv"


def _sets(plan: Plan, victims: tuple[Victim, ...], job: JobContext) -> dict[str, list[str]]:
    zoo = _zoo(plan)
    zoo.job = job
    for victim in {one.images: one for one in victims}.values():
        zoo.audit_images(victim)
    return {"sets": sorted({one.images for one in victims})}


def _train(plan: Plan, victim: Victim, job: JobContext) -> None:
    zoo = _zoo(plan)
    zoo.job = job
    for outcome in zoo.victims([victim]):
        write_outcomes(_outcome(plan, victim.name), [outcome])


def _detect(plan: Plan, victim: Victim, job: JobContext) -> None:
    zoo = _zoo(plan)
    [row] = read_outcomes(_outcome(plan, victim.name))
    known = known_as(row, zoo.folder, {"cifar10": Path(plan.test)})
    sample = 40 if plan.dry else _SAMPLE
    settings = ScanSettings(sample=sample, device=plan.device)
    work = plan.work / "audits"
    rows = list(measure_detectors([known], _detectors(plan), work, settings=settings, job=job))
    write_rows(plan.results / "detectors" / f"{victim.name}.csv", rows)


def steps(plan: Plan) -> list[WorkStep]:
    """A step for each model and one for what the detectors say, in the order of the suite."""
    if not plan.train:
        return []
    victims = tuple(_chosen(plan))
    names = {one.name for one in victims}
    made = [
        WorkStep(
            SETS, SETS, 30, plan.results / STAGE / "sets.json", partial(_sets, plan, victims),
            rank=_RANK,
        )
    ]  # fmt: skip
    for number, victim in enumerate(victims):
        name, rank = f"{STAGE}/{victim.name}", _RANK + 1 + number // _TOGETHER
        needs = [SETS]
        starts = WAYS[victim.way].needs_base or _text(victim) == TROJAN
        if starts and victim.twin.name in names:
            needs.append(f"{STAGE}/{victim.twin.name}")
        made += [
            WorkStep(
                name, f"train {victim.network}", _TRAIN, _outcome(plan, victim.name),
                partial(_train, plan, victim), rank=rank, needs=tuple(needs), lane=victim.run,
            ),
            WorkStep(
                f"detectors/{victim.name}", f"detect {victim.network}", _DETECT,
                plan.results / "detectors" / f"{victim.name}.csv", partial(_detect, plan, victim),
                rank=rank, needs=(name,), lane=victim.run,
            ),
        ]  # fmt: skip
    return made


def _text(victim: Victim) -> str:
    return "" if victim.attack == CLEAN else ATTACKS[victim.attack].text


def tables(results: Path, out: Path) -> list[Path]:
    """All rows as two tables, of models and of what detectors said; nothing without rows."""
    outcomes = sorted((results / STAGE).glob("*.csv"))
    written = []
    if outcomes:
        texts = [path.read_text("utf-8").splitlines() for path in outcomes]
        models = out / "zoo-models.csv"
        models.write_text("\n".join([texts[0][0], *(line for t in texts for line in t[1:]), ""]))
        written.append(models)
    rows = [
        row for path in sorted((results / "detectors").glob("*.csv")) for row in read_rows(path)
    ]
    if rows:
        write_rows(out / "zoo.csv", rows)
        written.append(out / "zoo.csv")
    return written
