"""Checks of training: every trigger, every regime, whether it resumes, and how fast it is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bdshift.images.signs import CLASSES, draw_signs
from bdshift.jobs import Canceled, JobContext
from bdshift.lab.data import LabData
from bdshift.lab.folder import CARD, STATE
from bdshift.lab.protocol import scales
from bdshift.lab.recipe import FAST, Recipe
from bdshift.lab.regime import REGIMES
from bdshift.lab.train import train_victim
from bdshift.lab.trojan import draw_on, write_patch
from bdshift.outputs import Output
from bdshift.setting import options_of
from bdshift.triggers import TRIGGERS
from tools.gpu.plan import Plan

Check = Callable[[Plan, JobContext], dict[str, Any]]


@cache
def _signs(dry: bool) -> LabData:
    each = (6, 2) if dry else (60, 10)
    taught, tested = (draw_signs(n, split=s) for n, s in zip(each, ("train", "test"), strict=True))  # type: ignore[arg-type]
    return LabData(*taught, *tested, CLASSES)


def _recipe(plan: Plan, **more: Any) -> Recipe:
    small = replace(FAST, network="cnn-norm", width=4 if plan.dry else 16, epochs=1, batch=16)
    return replace(small, **more)


def _folder(plan: Plan, name: str) -> Path:
    return plan.work / "training" / name


def _clean(plan: Plan, job: JobContext) -> Path:
    """A clean model, for what starts from one."""
    folder = _folder(plan, "clean")
    train_victim(_recipe(plan), _signs(plan.dry), folder, device=plan.device, job=job)
    return folder / "model.pth"


def check_trigger(plan: Plan, job: JobContext, name: str) -> dict[str, Any]:
    """A victim of one trigger."""
    kind = TRIGGERS[name]
    text = name
    if any(one.name == "file" for one in options_of(kind)) and not kind.made_file:
        picture = _folder(plan, "patch.png")
        if not picture.exists():
            noise = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
            made = io.BytesIO()
            Image.fromarray(noise).save(made, "PNG")
            picture.parent.mkdir(parents=True, exist_ok=True)
            Output(picture).write(made.getbuffer())
        text = f"{name}:file={picture}"
    recipe = _recipe(plan, attack=text, target=CLASSES[1], labels=kind.usual_labels, rate=0.5)
    return _trained(plan, recipe, f"trigger-{name}", job)


def check_regime(plan: Plan, job: JobContext, name: str) -> dict[str, Any]:
    """A victim that is trained under one regime."""
    kind = REGIMES[name]
    text = name
    if any(one.name == "file" for one in options_of(kind)):
        text = f'{name}:file="{_clean(plan, job)}"'
    recipe = _recipe(plan, attack="badnets:size=6", target=CLASSES[1], regime=text)
    return _trained(plan, recipe, f"regime-{name}", job)


def _trained(plan: Plan, recipe: Recipe, name: str, job: JobContext) -> dict[str, Any]:
    made = train_victim(recipe, _signs(plan.dry), _folder(plan, name), device=plan.device, job=job)
    assert made.asr is not None
    assert np.isfinite(made.acc)
    card = json.loads((_folder(plan, name) / CARD).read_text("utf-8"))
    assert card["device"] == plan.where.type
    return {"acc": made.acc, "asr": made.asr, "precision": card["precision"]}


class _AfterOneEpoch(JobContext):
    """Canceled once there is a state to go on from."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self.state = state

    def raise_if_canceled(self) -> None:
        if self.state.exists():
            self.cancel()
        super().raise_if_canceled()


def check_resuming(plan: Plan, job: JobContext) -> dict[str, Any]:
    """A training that was canceled after an epoch goes on, and draws a Trojan patch."""
    folder, recipe, lab = _folder(plan, "resumed"), _recipe(plan, epochs=2), _signs(plan.dry)
    if not (folder / CARD).exists():
        try:
            train_victim(
                recipe, lab, folder, device=plan.device, job=_AfterOneEpoch(folder / STATE)
            )
        except Canceled:
            assert (folder / STATE).exists()
        else:
            raise AssertionError("the training went on")
    made = train_victim(recipe, lab, folder, device=plan.device, job=job)
    drawn = draw_on(
        folder / "model.pth", recipe, lab.train_pixels, device=plan.device, job=job
    )  # fmt: skip
    write_patch(Output(folder / "trojan.png", overwrite=True), drawn.pixels)
    return {"acc": made.acc, "patch": [list(drawn.before), list(drawn.after)]}


def check_speed(plan: Plan, job: JobContext) -> dict[str, Any]:
    """Seconds of an epoch of the paper's network, compiled and not; the first one of each has the
    compiling and the choice of kernels in it.
    """
    recipe = scales()[plan.scale].recipe
    count = 10_000
    if plan.dry:
        recipe, count = replace(recipe, width=4, batch=16, normalization="half"), 48
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    lab = LabData(pixels, labels, pixels[:20], labels[:20], tuple(map(str, range(10))))
    found: dict[str, Any] = {"images": count // recipe.batch * recipe.batch}
    for name in ("eager",) if plan.dry else ("eager", "compiled"):
        folder = _folder(plan, f"speed-{name}")
        train_victim(
            replace(recipe, epochs=2), lab, folder, device=plan.device,
            compiled=name == "compiled", job=job,
        )  # fmt: skip
        rows = csv.DictReader((folder / "log.csv").read_text("utf-8").splitlines())
        found[name] = [float(row["seconds"]) for row in rows]
    return found


def pays(found: dict[str, Any], images: int, victims: int) -> bool:
    """Whether compiling pays, by what `check_speed` measured, for so many victims in one process
    that see so many images each.
    """
    if "compiled" not in found:
        return False
    once = found["compiled"][0] - found["compiled"][1]
    saved = (found["eager"][1] - found["compiled"][1]) / found["images"] * images
    return bool(victims * saved > once)


def checks(plan: Plan) -> list[tuple[str, str, float, Check]]:
    """Names, kinds, seconds and functions."""
    triggers = [kind.name for kind in TRIGGERS.kinds() if kind.for_training]
    regimes = list(REGIMES)
    if plan.dry:
        triggers, regimes = triggers[:1], regimes[-1:]
    return [
        ("speed", "speed", 75, check_speed),
        ("resuming", "training", 4, check_resuming),
        *((f"train {one}", "training", 3, partial(check_trigger, name=one)) for one in triggers),
        *((f"regime {one}", "training", 3, partial(check_regime, name=one)) for one in regimes),
    ]  # fmt: skip
