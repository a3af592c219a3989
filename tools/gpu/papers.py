"""The papers' tables at their own size: victims, and what methods make of them; `bdshift lab` makes
the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from bdshift.jobs import JobContext
from bdshift.lab.protocol import TableScale, scales
from bdshift.lab.rows import Places, Tables
from bdshift.purification import METHODS
from tools.gpu.plan import Plan, brief, decode, decoded
from tools.gpu.steps import WorkStep
from tools.gpu.training import pays

SEED = 0
_AGAIN = 2  # victims that a process trains, about: what is compiled is used so often

# Seconds of an H200, guessed; what is measured corrects them.
_EPOCH, _DEEPER = 3.5, 3.5  # of a ResNet-18; how much longer a ResNet-50 takes
_AUDIT = 12
_PURIFY = {"anp": 90, "tsbd": 40, "rnp": 40, "beear": 40, "ft-sam": 30, "clp": 12}
_PURIFY_OTHERS = 25

DATA = "images"
"""The name of the step that decodes the photos."""


def scale_of(plan: Plan, *, deep: bool = False) -> TableScale:
    """The scale of the ResNet-18's, or the ResNet-50's tables; tiny for a dry run."""
    name = plan.scale.replace("paper", "paper-50", 1) if deep else plan.scale
    scale = scales()[name]
    if not plan.dry:
        return scale
    recipe = replace(
        scale.recipe, width=4, epochs=1, batch=32, peak_rate=0.02, normalization="half",
        translate=1, flip=False,
    )  # fmt: skip
    methods = {
        title: brief(METHODS.parse(text), dry=True).spec for title, text in scale.methods.items()
    }
    return replace(scale, recipe=recipe, methods=methods, share=0.2)


def _rows(plan: Plan, scale: TableScale) -> Path:
    return plan.results / "tables" / scale.name


def _compiled(plan: Plan, scale: TableScale) -> bool:
    """Whether trainings are compiled: as told, or if it was measured that it pays."""
    speed = plan.results / "checks" / "speed.json"
    if plan.compiled != "auto" or not speed.exists():
        return plan.compiled == "yes"
    images = scale.recipe.epochs * len(decoded(plan).train_labels)
    return pays(json.loads(speed.read_text("utf-8")), images, _AGAIN)


@cache
def _tables(plan: Plan, deep: bool) -> Tables:
    """One for each process, so that it audits a victim once for all methods."""
    scale = scale_of(plan, deep=deep)
    places = Places(plan.train, plan.test, plan.work / scale.name, _rows(plan, scale))
    return Tables(
        scale, places, lab=decoded(plan), device=plan.device, compiled=_compiled(plan, scale)
    )


def _row(plan: Plan, deep: bool, attack: str, methods: Sequence[str], job: JobContext) -> None:
    tables = _tables(plan, deep)
    tables.job = job
    for _ in tables.rows([attack], list(methods), [SEED]):
        pass


def _slug(*names: str) -> str:
    return "-".join(names).lower().replace(" ", "-").replace("'", "")


def _of_attack(
    plan: Plan, deep: bool, stage: str, attack: str, methods: Sequence[str], ranks: tuple[int, int]
) -> Iterator[WorkStep]:
    """A victim and its purifications. Trojan's patch is drawn on a clean model, which is trained
    with the first Trojan victim; others wait for that.
    """
    scale = scale_of(plan, deep=deep)
    slower = _DEEPER if deep else 1.0
    folder, lane = _rows(plan, scale), f"{scale.name} {attack}"
    trains = slower * _EPOCH * scale.recipe.epochs + _AUDIT
    victim = f"{stage}/{scale.name} {attack}"
    needs = [DATA]
    kind = f"train {scale.name}"
    if attack.startswith("Trojan"):
        if attack == "Trojan":
            trains, kind = 2 * trains, f"{kind} twice"
        else:
            first = "resnet50" if deep else "papers"
            needs.append(f"{first}/{scale.name} Trojan")
    yield WorkStep(
        victim, kind, trains, folder / f"{_slug(attack, str(SEED))}.json",
        partial(_row, plan, deep, attack, ()), rank=ranks[0], needs=tuple(needs), lane=lane,
    )  # fmt: skip
    for method in methods:
        name = METHODS.parse(scale.every_method[method]).name
        yield WorkStep(
            f"{stage}/{scale.name} {attack}, {method}", f"purify {scale.name} {method}",
            slower * _PURIFY.get(name, _PURIFY_OTHERS),
            folder / f"{_slug(attack, str(SEED), method)}.json",
            partial(_row, plan, deep, attack, (method,)),
            rank=ranks[1], needs=(victim,), lane=lane,
        )  # fmt: skip


def _by_value(scale: TableScale) -> list[list[str]]:
    """Methods: those with published figures and ours, those that a figure is drawn of, the rest."""
    printed = [one for one in scale.methods if one in scale.published.purified or one == scale.ours]
    rest = [one for one in scale.methods if one not in printed]
    drawn = [one for one in rest if scale.method(one).drawn_as]
    return [printed, drawn, [one for one in rest if one not in drawn]]


def steps(plan: Plan) -> list[WorkStep]:
    """Tables 1, 2 and 4 with their figures; Table 6; Tables 3 and 5; Figure 5; in this order. A dry
    run makes one row of each kind.
    """
    if not plan.train:
        return []
    scale, deep = scale_of(plan), scale_of(plan, deep=True)
    first, drawn, rest = _by_value(scale)
    attacks = sorted(scale.attacks, key=lambda one: one != "Trojan")  # the longest first
    rated = [one for one in scale.more if " rate " in one]
    moved = [one for one in scale.more if " to " in one]
    deep_methods, deep_attacks = _by_value(deep)[0], list(attacks)
    if plan.dry:
        rated, moved, deep_attacks, deep_methods = rated[:1], moved[:1], ["BadNets"], []
        attacks, first, drawn, rest = ["Trojan"], [scale.ours], drawn[:1], []
    made = [
        WorkStep(
            DATA, DATA, 30, plan.results / "images.json", lambda job: decode(plan, job), rank=1
        )
    ]
    for number, methods in enumerate((first, drawn, rest)):
        for attack in attacks:
            made += _of_attack(plan, False, "papers", attack, methods, (2, 3 + number))
    for attack in rated:
        made += _of_attack(plan, False, "rates", attack, [scale.ours], (6, 7))
    for attack in deep_attacks:
        made += _of_attack(plan, True, "resnet50", attack, deep_methods, (8, 9))
    for attack in moved:
        made += _of_attack(plan, False, "targets", attack, [scale.ours], (10, 11))
    return list({one.name: one for one in reversed(made)}.values())[::-1]
