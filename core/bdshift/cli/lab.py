"""``bdshift lab``: make images and victims whose truth is known."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from bdshift.cli.console import ConsoleJob, guarded


@click.group("lab")
def command() -> None:
    """Make images and victims whose truth is known."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--per-class", default=100, show_default=True, help="Images of each class.")
@click.option("--split", type=click.Choice(["train", "test", "clean"]), default="clean",
              show_default=True, help="No two share an image.")  # fmt: skip
@click.option("--seed", default=0, show_default=True)
@guarded
def signs(folder: Path, per_class: int, split: str, seed: int, job: ConsoleJob) -> None:
    """Draw traffic signs into FOLDER, one sub-folder a class."""
    from bdshift.images.signs import write_signs

    write_signs(folder, per_class, seed=seed, split=split, job=job)  # type: ignore[arg-type]
    job.close()
    click.echo(f"{folder}: {per_class} signs of each class")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", default="signs", show_default=True,
              help="signs, or a folder or zip of class folders to train on.")  # fmt: skip
@click.option("--test", default="", help="The same classes to test on, if --data is not signs.")
@click.option("--attack", default="", help="A trigger, as badnets:size=3; none: a clean model.")
@click.option("--target", default="", help="Class that triggered images are labelled with.")
@click.option("--rate", default=0.1, show_default=True, help="Share of images poisoned.")
@click.option("--width", default=16, show_default=True, help="Of the ResNet-18; 64 is usual.")
@click.option("--epochs", default=12, show_default=True)
@click.option("--normalisation", default="half", show_default=True)
@click.option("--shift", default=2, show_default=True, help="Random translation, pixels.")
@click.option("--flip/--no-flip", default=False, help="Random mirroring.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True)
@guarded
def train(
    folder: Path, data: str, test: str, device: str, job: ConsoleJob, **recipe: object
) -> None:
    """Train a victim, or without --attack its clean twin, into FOLDER.

    Stopped at any moment, the same command goes on after the last finished epoch.
    """
    from bdshift.lab.data import load_lab_data
    from bdshift.lab.train import Recipe, train_victim

    chosen = Recipe(**recipe)  # type: ignore[arg-type]
    images = load_lab_data(data, test, seed=chosen.seed, job=job)
    outcome = train_victim(
        chosen, images, folder, command=_command(folder, data, test, chosen), device=device, job=job
    )
    job.close()
    asr = "" if outcome.asr is None else f", ASR {outcome.asr:.2%}"
    click.echo(f"{folder / 'model.pth'}: ACC {outcome.acc:.2%}{asr}, {outcome.seconds:.0f} s")


def _command(folder: Path, data: str, test: str, recipe: object) -> str:
    """The command line that makes this victim, without paths of this machine."""
    parts = ["bdshift", "lab", "train", folder.name]
    if data != "signs":
        parts += ["--data", Path(data).name, "--test", Path(test).name]
    for param in train.params:
        value = getattr(recipe, param.name or "", None)
        if value is None or value == param.default:
            continue
        flag = param.opts[0]
        parts += [flag] if value is True else [flag, str(value)]
    return shlex.join(parts)
