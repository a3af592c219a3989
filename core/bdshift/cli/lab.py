"""``bdshift lab``: make images and victims whose truth is known."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from bdshift.cli.console import ConsoleJob, guarded, refuse_to_lose
from bdshift.errors import InputError, UsageError


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

    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; signs of two draws would be mixed")
    write_signs(folder, per_class, seed=seed, split=split, job=job)  # type: ignore[arg-type]
    job.close()
    click.echo(f"{folder}: {per_class} signs of each class")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--data",
    default="signs",
    show_default=True,
    help="signs, cifar10, cifar100, gtsrb, or images to train on, as scan takes them.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Where torchvision keeps the sets that have a name.",
)
@click.option("--download", is_flag=True, help="Let torchvision fetch it; nothing else does.")
@click.option("--test", default="", help="The same classes to test on; else a fifth is left out.")
@click.option("--recipe", "preset", type=click.Choice(["fast", "paper"]), default="fast",
              show_default=True, help="What the options below start from.")  # fmt: skip
@click.option("--attack", help="A trigger, as badnets:size=3, or several joined by ;. "
              "None: a clean model.")  # fmt: skip
@click.option("--target", help="Class that triggered images are sent to; one each.")
@click.option("--labels", type=click.Choice(["all-to-one", "one-to-one", "all-to-all",
              "clean-label"]), help="What is poisoned, and how labels change.")  # fmt: skip
@click.option("--source", help="The one class that one-to-one works on.")
@click.option("--rate", type=float, help="Share of images poisoned; 0.1.")
@click.option("--cover", type=float, help="Share in WaNet's noise mode; 0.2.")
@click.option("--depth", type=int, help="Of the ResNet: 18, or 50.")
@click.option("--width", type=int, help="Of its first stage; 64 is usual, fast has 16.")
@click.option("--epochs", type=int, help="12; 100 in the paper.")
@click.option("--batch", type=int, help="256; 128 in the paper.")
@click.option("--peak-rate", type=float, help="Learning rate; 0.2, in the paper 0.1.")
@click.option("--normalization", help="As bdshift scan names them; half.")
@click.option("--shift", type=int, help="Random translation, pixels; 2.")
@click.option("--flip/--no-flip", default=None, help="Random mirroring.")
@click.option("--seed", type=int, help="Of everything random; 0.")
@click.option("--device", default="auto", show_default=True)
@click.option("--compile", "compiled", is_flag=True,
              help="Use torch.compile: a minute at the start, faster steps.")  # fmt: skip
@guarded
def train(
    folder: Path, data: str, root: Path, download: bool, test: str, preset: str, device: str,
    compiled: bool, job: ConsoleJob, **given: object,
) -> None:  # fmt: skip
    """Train a victim, or without --attack its clean twin, into FOLDER.

    Stopped at any moment, the same command goes on after the last finished epoch.
    """
    from bdshift.images.signs import CLASSES
    from bdshift.lab.data import load_lab_data
    from bdshift.lab.recipe import RECIPES
    from bdshift.lab.train import train_victim

    chosen = replace(RECIPES[preset], **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    chosen.check()
    if data == "signs":
        chosen.backdoors(CLASSES)  # before they are drawn, which takes a while
        if Path(data).exists():
            job.note("Drawn signs are taken, not the folder of that name, which is ./signs")
    images = load_lab_data(
        data, test, seed=chosen.seed, root=root, download=download, job=job
    )  # fmt: skip
    outcome = train_victim(
        chosen,
        images,
        folder,
        command=_command(folder, data, test),
        device=device,
        compiled=compiled,
        job=job,
    )
    job.close()
    asr = "" if outcome.asr is None else f", ASR {outcome.asr:.2%}"
    click.echo(f"{folder / 'model.pth'}: ACC {outcome.acc:.2%}{asr}, {outcome.seconds:.0f} s")


@command.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--side", default=8, show_default=True, help="Of the patch, pixels.")
@click.option("--neurons", default=2, show_default=True, help="How many it excites.")
@click.option("--steps", default=300, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--overwrite", is_flag=True)
@guarded
def trojan(
    model: Path, images: Path, out: Path, overwrite: bool, job: ConsoleJob, **settings: int
) -> None:
    """Draw the Trojan attack's patch on a clean MODEL and a few IMAGES, into OUT, a PNG.

    Poison with it as --attack patch:file=OUT. The preprocessing is found as bdshift scan does.
    """
    import torch

    from bdshift.audit import ScanSettings, reopen, scan
    from bdshift.images.collection import sample_files
    from bdshift.images.loader import decode_all
    from bdshift.lab.trojan import PICTURES, TrojanPatch, write_patch

    refuse_to_lose(out, overwrite, model)
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out.parent}: is no folder to write {out.name} into")
    drawing = TrojanPatch(**settings)
    classifier, clean = reopen(scan(model, images, ScanSettings(seed=drawing.seed), job=job))
    assert classifier.preprocessing is not None
    files = sample_files(clean.files, PICTURES)
    pixels = decode_all(clean.collection, files, classifier.preprocessing.size, job=job).pixels
    patch, told = drawing.draw(classifier, torch.from_numpy(pixels), job=job)
    write_patch(out, patch)
    job.close()
    pairs = zip(told["neurons"], told["before"], told["after"], strict=True)
    values = "; ".join(f"{neuron}: {old:.3g} to {new:.3g}" for neuron, old, new in pairs)
    click.echo(f"{out}: mean activation of neurons {values}")


def _of_tables(function: Callable[..., None]) -> Callable[..., None]:
    """What both commands that make victims by the papers' protocol are told."""
    for option in (
        click.option("--device", default="auto", show_default=True),
        click.option("--seeds", default="0", show_default=True, help="Joined by commas."),
        click.option("--out", type=click.Path(path_type=Path), required=True,
                     help="A file for each row, and a page of them all."),
        click.option("--work", type=click.Path(path_type=Path), default=Path("build/lab"),
                     show_default=True, help="For victims and what is under way."),
        click.option("--scale", "name", type=click.Choice(["small", "paper", "paper-50"]),
                     default="small", show_default=True,
                     help="Narrow networks for a CPU; the paper's ResNet-18; its ResNet-50."),
        click.option("--test", required=True, help="Test images of the same classes."),
        click.option("--data", required=True,
                     help="Training images: a folder or zip of class folders."),
    ):  # fmt: skip
        function = option(function)
    return function


@command.command()
@_of_tables
@click.option("--attacks", default="", help="Some of them, joined by commas; the paper's four. "
              "Also lower rates and other targets: BadNets rate 0.01, WaNet to 3.")  # fmt: skip
@click.option("--methods", default="", help="Some of them, joined by commas; all; none: victims.")
@guarded
def tables(
    data: str, test: str, name: str, work: Path, out: Path, attacks: str, methods: str, seeds: str,
    device: str, job: ConsoleJob,
) -> None:  # fmt: skip
    """Make the papers' tables: victims, every method on each, one row at a time.

    Stopped at any moment, the same command goes on after the last finished epoch or step. Rows that
    are there are not made again.
    """
    from bdshift.lab.protocol import SCALES
    from bdshift.lab.rows import Places, Tables

    scale = SCALES[name]
    chosen = _some(attacks, scale.attacks, "attack", scale.more)
    ways = [] if methods == "none" else _some(methods, scale.methods, "method", scale.as_published)
    making = Tables(scale, Places(data, test, work, out), device=device, job=job)
    for row in making.rows(chosen, ways, _numbers(seeds)):
        job.note(_brief(row))
        making.write_tables()
    job.close()
    click.echo(f"{out / 'tables.md'}")


@command.command()
@_of_tables
@click.option("--attacks", default="", help="Some of them, joined by commas, or clean; all.")
@guarded
def ablations(
    data: str, test: str, name: str, work: Path, out: Path, attacks: str, seeds: str, device: str,
    job: ConsoleJob,
) -> None:  # fmt: skip
    """Try other solvers, α, numbers of clean images and images of something else on the victims."""
    from bdshift.lab.protocol import SCALES
    from bdshift.lab.rows import CLEAN, Places, Tables

    scale = SCALES[name]
    chosen = _some(attacks, [*scale.attacks, CLEAN], "attack")
    making = Tables(scale, Places(data, test, work, out), device=device, job=job)
    for row in making.ablations(chosen, _numbers(seeds)):
        job.note(f"{row['attack']} {row['seed']}: done")
        making.write_ablations()
    job.close()
    click.echo(f"{out / 'ablations.md'}")


def _numbers(seeds: str) -> list[int]:
    if not all(seed.isdecimal() for seed in seeds.split(",")):
        raise UsageError(f"seeds are numbers joined by commas, not {seeds!r}")
    return [int(seed) for seed in seeds.split(",")]


def _some(text: str, usual: Iterable[str], noun: str, more: Iterable[str] = ()) -> list[str]:
    """The ones named in ``text``, or all that are ``usual``."""
    known = {one.lower(): one for one in (*usual, *more)}
    wanted = [one.strip() for one in text.split(",") if one.strip()] or list(usual)
    for one in wanted:
        if one.lower() not in known:
            raise UsageError(f"{noun} {one!r} is none of {', '.join(known.values())}")
    return [known[one.lower()] for one in wanted]


def _brief(row: Mapping[str, Any]) -> str:
    name = f"{row['attack']} {row['seed']}"
    if "method" not in row:
        outcome = row["training"]["outcome"]
        return f"{name}: ACC {outcome['acc']:.2%}, ASR {outcome['asr']:.2%}, p {row['p']:.2g}"
    return (
        f"{name}, {row['method']}: ACC {row['acc']:.2%}, ASR {row['asr']:.2%}, "
        f"DER {row['der']:.3f}, {row['seconds']:.0f} s"
    )


_GIVEN = click.core.ParameterSource.COMMANDLINE
_NOT_TOLD = "folder", "data", "root", "download", "test", "device", "debug"


def _command(folder: Path, data: str, test: str) -> str:
    """The command line that makes this victim, without paths of this machine."""
    from bdshift.lab.data import NAMED

    context = click.get_current_context()
    parts = ["bdshift", "lab", "train", folder.name]
    if data != "signs":
        name = Path(data).name
        is_folder = data not in NAMED and name in (*NAMED, "signs")  # not the set of that name
        parts += ["--data", f"./{name}" if is_folder else name]
        parts += ["--test", Path(test).name] if test else []
    for param in train.params:
        name, value = param.name or "", context.params.get(param.name or "")
        if name in _NOT_TOLD or context.get_parameter_source(name) is not _GIVEN:
            continue
        flag = param.opts[0] if value is not False else param.secondary_opts[0]
        parts += [flag] if isinstance(value, bool) else [flag, str(value)]
    return shlex.join(parts)
