"""The folder of a victim: what a training leaves there, and what it finds there."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bdshift.csv_data import csv_text
from bdshift.errors import InputError, UsageError
from bdshift.lab.recipe import Recipe
from bdshift.outputs import Output
from bdshift.spec import split_spec, split_specs
from bdshift.triggers import TRIGGERS, trigger_files

MODEL, CARD, STATE = "model.pth", "card.json", "resume.pt"
_LOG = "log.csv"
_MAX_CARD_BYTES = 1024 * 1024


@dataclass(frozen=True)
class VictimFigures:
    """What a finished victim does on the test images (shares in [0, 1]).

    ``asr`` counts only images that are not already of the target class, and is the mean of several
    backdoors; None for a clean model. ``poisoned_images`` are those poisoned before the training:
    none if the trigger is learned during it.
    """

    acc: float
    asr: float | None
    poisoned_images: int
    seconds: float


def check_new(folder: Path, recipe: Recipe) -> None:
    """Raise `UsageError` if what a training writes is there already, from something else."""
    made = [TRIGGERS[split_spec(text)[0]].made_file for text in split_specs(recipe.attack)]
    for name in filter(None, (MODEL, _LOG, *made)):
        if os.path.lexists(folder / name):
            raise UsageError(
                "{path}: is not of an unfinished training; choose another folder",
                path=folder / name,
            )


def finished(folder: Path, recipe: Recipe, images: str) -> VictimFigures:
    """The figures in the card of a finished run. Raises `InputError` if that is another run's, or
    no card.
    """
    card = folder / CARD
    try:
        if not (card.is_file() and card.stat().st_size <= _MAX_CARD_BYTES):
            raise TypeError("no file, or too large")
        found = json.loads(card.read_text(encoding="utf-8"))
        same_run(folder, found, recipe, images)
        return VictimFigures(**found["outcome"])
    except (OSError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            "{path}: not a victim's card ({reason})", path=card, reason=str(error)
        ) from error


def same_run(folder: Path, found: Mapping[str, Any], recipe: Recipe, images: str) -> None:
    """Raise `InputError` if ``found`` is not of this run. It may be older than a setting, and than
    the images' digest.
    """
    there = dict(found["recipe"])
    if "depth" in there:  # before there were other networks
        there["network"] = f"resnet{there.pop('depth')}"
    if asdict(Recipe()) | there != asdict(recipe):
        raise InputError(
            "{path}: holds a run with another recipe; choose another folder", path=folder
        )
    if found.get("images", images) != images:
        raise InputError("{path}: holds a run on other images; choose another folder", path=folder)


def keep_files(recipe: Recipe, folder: Path) -> None:
    """Copy the pictures that triggers are made of, so that the card works without the originals."""
    for text in split_specs(recipe.attack):
        for path in trigger_files(text):
            if path.is_file() and not os.path.lexists(folder / path.name):
                Output(folder / path.name).write(path.read_bytes())


def write_log(folder: Path, log: Sequence[Mapping[str, float]]) -> None:
    """Write the loss and the time of each epoch."""
    curve = ([i + 1, row["loss"], row["seconds"]] for i, row in enumerate(log))
    Output(folder / _LOG, overwrite=True).write_text(
        csv_text([["epoch", "loss", "seconds"], *curve])
    )


def write_card(
    folder: Path,
    recipe: Recipe,
    outcome: VictimFigures,
    names: tuple[str, ...],
    command: str,
    device: torch.device,
    about: Mapping[str, object],
) -> None:
    """Write what the victim is and does; with its card, it is finished."""
    card = {
        "command": command,
        "recipe": asdict(recipe),
        "outcome": asdict(outcome),
        "class_names": names,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "device": device.type,
        **about,
        "threads": torch.get_num_threads(),
    }
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    Output(folder / CARD).write_text(text)
