"""``bdshift lab``: make images and victims whose ground truth is known."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bdshift.cli.console import ConsoleJob, guarded
from bdshift.cli.explained import listed, names_of
from bdshift.cli.lab_suite import detectors, recoveries, robustness, suite
from bdshift.cli.lab_truth import truth
from bdshift.cli.lab_verdict import verdict
from bdshift.cli.names import NamedText
from bdshift.cli.paths import PATH
from bdshift.errors import InputError, UsageError
from bdshift.outputs import Output
from bdshift.registry import Registry

if TYPE_CHECKING:
    from bdshift.setting import Option


@click.group("lab")
def command() -> None:
    """Make images and victims with known ground truth."""


for more in (suite, detectors, recoveries, robustness, verdict, truth):
    command.add_command(more)


@command.command()
@click.argument("folder", type=PATH)
@click.option("--per-class", default=100, show_default=True, help="Images of each class.")
@click.option("--split", type=click.Choice(["train", "test", "clean"]), default="clean",
              show_default=True, help="No two splits share an image.")  # fmt: skip
@click.option("--seed", default=0, show_default=True)
@guarded
def signs(folder: Path, per_class: int, split: str, seed: int, job: ConsoleJob) -> None:
    """Draw traffic signs into FOLDER, one subfolder per class."""
    from bdshift.images.signs import write_signs

    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError("{path}: is not empty; two draws would be mixed", path=folder)
    write_signs(folder, per_class, seed=seed, split=split, job=job)  # type: ignore[arg-type]
    job.close()
    click.echo(f"{folder}: {per_class} signs of each class")


class _WithMore(click.Command):
    """A command that also takes the options that ``more`` makes of what the lab knows. They are
    looked up only when needed, because that imports torch.
    """

    def __init__(self, *args: Any, more: Callable[[], tuple[click.Option, ...]], **rest: Any):
        super().__init__(*args, **rest)
        self._more = more

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Called by click before it reads or lists the options."""
        return [*self.params, *self._more(), *super().get_params(ctx)[len(self.params) :]]


def _option(
    one: Option, *more: str, default: object = None, kind: click.ParamType[Any] | None = None
) -> click.Option:
    """A setting as an option; ``more`` sentences follow its help."""
    flag = f"--{one.name.replace('_', '-')}"
    names = [f"{flag}/--no-{one.name}"] if one.kind is bool else [flag]
    text = " ".join((one.about.help or f"{one.about.label}.", *more))
    found = kind or (None if one.kind is bool else one.kind)
    return click.Option(names, type=found, help=text, default=default, show_default=True)


@cache
def _recipe_options() -> tuple[click.Option, ...]:
    from bdshift.lab.recipe import RECIPES, Recipe
    from bdshift.lab.regime import REGIMES
    from bdshift.setting import options_of
    from bdshift.triggers import TRIGGERS
    from bdshift.triggers.labeling import LABELINGS

    found = [
        click.Option(
            ["--recipe", "preset"], type=click.Choice(list(RECIPES)), default=next(iter(RECIPES)),
            show_default=True, help="Defaults of the options below.",
        )
    ]  # fmt: skip
    members: dict[str, Registry[Any]] = {
        "attack": TRIGGERS, "labels": LABELINGS, "regime": REGIMES,
    }  # fmt: skip
    for one in options_of(Recipe):
        registry = members.get(one.name)
        text = [] if registry is None else [listed(registry)]
        kind = None if registry is None else NamedText(partial(names_of, registry))
        if one.default not in ("", False):
            values = [f"{name}: {getattr(recipe, one.name)}" for name, recipe in RECIPES.items()]
            text.append(f"{', '.join(values)}.")
        found.append(_option(one, *text, kind=kind))
    return tuple(found)


@command.command(cls=_WithMore, more=_recipe_options)
@click.argument("folder", type=PATH)
@click.option(
    "--data",
    default="signs",
    show_default=True,
    help="signs, cifar10, cifar100, gtsrb, or images to train on, as scan takes them.",
)
@click.option(
    "--root",
    type=PATH,
    default=Path("data"),
    show_default=True,
    help="Where torchvision keeps the named data sets.",
)
@click.option("--download", is_flag=True, help="Let torchvision download it; nothing else does.")
@click.option("--test", default="", help="Test images of the same classes; default: a fifth.")
@click.option("--device", default="auto", show_default=True)
@click.option("--compile", "compiled", is_flag=True,
              help="Use torch.compile: a minute at the start, faster steps.")  # fmt: skip
@guarded
def train(
    folder: Path, data: str, root: Path, download: bool, test: str, preset: str, device: str,
    compiled: bool, job: ConsoleJob, **given: object,
) -> None:  # fmt: skip
    """Train a victim, or without --attack its clean twin, into FOLDER.

    If interrupted, the same command resumes after the last finished epoch. Nothing else in FOLDER
    is replaced.
    """
    from bdshift.images.signs import CLASSES
    from bdshift.lab.data import load_lab_data
    from bdshift.lab.recipe import RECIPES
    from bdshift.lab.train import train_victim

    chosen = replace(RECIPES[preset], **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]
    if data == "signs":
        chosen.backdoors(CLASSES)  # before they are drawn, which takes a while
        if Path(data).exists():
            job.note("--data signs means drawn signs; for the folder with that name, use ./signs")
    images = load_lab_data(
        data, test, seed=chosen.seed, root=root, download=download, job=job
    )  # fmt: skip
    for backdoor in chosen.backdoors(images.class_names):
        usual = backdoor.trigger.usual_labels
        if usual != backdoor.labeling.name:
            job.note(
                "{trigger} is usually trained with --labels {labels}",
                trigger=backdoor.trigger.name, labels=usual,
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


@cache
def _patch_options() -> tuple[click.Option, ...]:
    from bdshift.lab.trojan import TrojanPatch
    from bdshift.setting import options_of

    return tuple(_option(one, default=one.default) for one in options_of(TrojanPatch))


@command.command(cls=_WithMore, more=_patch_options)
@click.argument("model", type=PATH)
@click.argument("images", type=PATH)
@click.argument("out", type=PATH)
@click.option("--toward", metavar="CLASS", help="Draw it so that the model sees this class, as "
              "BadCLIP does, instead of exciting neurons.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is there.")
@guarded
def trojan(
    model: Path,
    images: Path,
    out: Path,
    toward: str | None,
    overwrite: bool,
    job: ConsoleJob,
    **settings: Any,
) -> None:
    """Draw the Trojan attack's patch on a clean MODEL and a few IMAGES, into OUT, a PNG.

    Poison with it as --attack patch:file=OUT. The preprocessing is found as bdshift scan does.
    """
    import torch

    from bdshift.audit import ScanSettings, scan_opened
    from bdshift.audit.zero_shot import with_names
    from bdshift.checkpoints.classifier import open_checkpoint
    from bdshift.images.collection import open_images, sample_files
    from bdshift.images.loader import decode_all
    from bdshift.lab.trojan import PICTURES, TrojanPatch, write_patch
    from bdshift.steps.target import pick_class

    output = Output(out, overwrite, (model, images))
    output.check()
    drawing = TrojanPatch(**settings)
    collection = open_images(images, job=job)
    opened, asked = with_names(
        open_checkpoint(model, job=job), collection, ScanSettings(seed=drawing.seed)
    )
    audit, material = scan_opened(opened, collection, asked, job=job)
    classifier = material.classifier
    files = sample_files(material.clean.files, PICTURES)
    plain = classifier.preprocessing
    pixels = decode_all(collection, files, plain.size, framing=plain.framing, job=job).pixels
    target = None if toward is None else pick_class(audit, toward)
    drawn = drawing.draw(classifier, torch.from_numpy(pixels), target, job=job)
    write_patch(output, drawn.pixels)
    job.close()
    if target is not None:
        [old], [new] = drawn.before, drawn.after
        click.echo(f"{out}: sends {new:.0%} of {len(pixels)} images to {toward}, {old:.0%} before")
        return
    pairs = zip(drawn.neurons, drawn.before, drawn.after, strict=True)
    values = "; ".join(f"{neuron}: {old:.3g} to {new:.3g}" for neuron, old, new in pairs)
    click.echo(f"{out}: mean activation of neurons {values}")


@cache
def _scale_options() -> tuple[click.Option, ...]:
    from bdshift.lab.protocol import scales

    known = scales()
    text = "; ".join(f"{scale.name}: {scale.summary}" for scale in known.values())
    return (
        click.Option(
            ["--scale", "name"], type=click.Choice(list(known)), default=next(iter(known)),
            show_default=True, help=f"Size of the victims: {text}.",
        ),
    )  # fmt: skip


def _of_tables(function: Callable[..., None]) -> Callable[..., None]:
    """Options of both commands that make victims following the papers' protocol."""
    for option in (
        click.option("--device", default="auto", show_default=True),
        click.option("--seeds", default="0", show_default=True, help="Separated by commas."),
        click.option("-o", "--out", type=PATH, required=True,
                     help="A file for each row, and a page of them all."),
        click.option("--work", type=PATH, default=Path("build/lab"),
                     show_default=True, help="For victims and unfinished work."),
        click.option("--test", required=True, help="Test images of the same classes."),
        click.option("--data", required=True,
                     help="Training images: a folder or zip of class folders."),
    ):  # fmt: skip
        function = option(function)
    return function


@command.command(cls=_WithMore, more=_scale_options)
@_of_tables
@click.option("--attacks", default="",
              help="Separated by commas; default: the paper's four. Also lower rates and other "
              "targets: BadNets rate 0.01, WaNet to 3.")  # fmt: skip
@click.option(
    "--methods", default="", help="Separated by commas; default: all; none: only train victims."
)
@guarded
def tables(
    data: str, test: str, name: str, work: Path, out: Path, attacks: str, methods: str, seeds: str,
    device: str, job: ConsoleJob,
) -> None:  # fmt: skip
    """Make the papers' tables: victims, every method on each, one row at a time.

    If interrupted, the same command resumes after the last finished epoch or step. Existing
    rows are not computed again. --out is an empty folder, or one with such rows, whose pages are
    written again.
    """
    from bdshift.lab.protocol import scales
    from bdshift.lab.rows import Places, Tables

    scale = scales()[name]
    chosen = _some(attacks, scale.attacks, "--attacks", scale.more)
    ways = []
    if methods != "none":
        ways = _some(methods, scale.methods, "--methods", scale.as_published)
    making = Tables(scale, Places(data, test, work, out), device=device, job=job)
    for row in making.rows(chosen, ways, _numbers(seeds)):
        job.note("{row}", row=_brief(row))
        making.write_tables()
    job.close()
    click.echo(f"{out / 'tables.md'}")


@command.command(cls=_WithMore, more=_scale_options)
@_of_tables
@click.option(
    "--attacks", default="", help="Some of them, separated by commas, or clean; default: all."
)
@guarded
def ablations(
    data: str, test: str, name: str, work: Path, out: Path, attacks: str, seeds: str, device: str,
    job: ConsoleJob,
) -> None:  # fmt: skip
    """Try other solvers, α, numbers of clean images and images of something else on the victims.

    --out is an empty folder, or one with such rows, whose pages are written again.
    """
    from bdshift.lab.protocol import scales
    from bdshift.lab.rows import CLEAN, Places, Tables

    scale = scales()[name]
    chosen = _some(attacks, [*scale.attacks, CLEAN], "--attacks")
    making = Tables(scale, Places(data, test, work, out), device=device, job=job)
    for row in making.ablations(chosen, _numbers(seeds)):
        job.note("{attack} {seed}: done", attack=row["attack"], seed=row["seed"])
        making.write_ablations()
    job.close()
    click.echo(f"{out / 'ablations.md'}")


def _numbers(seeds: str) -> list[int]:
    if not all(seed.isdecimal() for seed in seeds.split(",")):
        raise UsageError("--seeds are numbers separated by commas, not {text}", text=repr(seeds))
    return [int(seed) for seed in seeds.split(",")]


def _some(text: str, usual: Iterable[str], option: str, more: Iterable[str] = ()) -> list[str]:
    """The ones named in ``text``, or all of ``usual``."""
    known = {one.lower(): one for one in (*usual, *more)}
    wanted = [one.strip() for one in text.split(",") if one.strip()] or list(usual)
    for one in wanted:
        if one.lower() not in known:
            raise UsageError(
                "{option}: unknown {name}; choose one of {names}",
                option=option, name=repr(one), names=tuple(known.values()),
            )  # fmt: skip
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
_NOT_TOLD = "folder", "data", "root", "download", "test", "device", "debug", "quiet", "verbose"


def _command(folder: Path, data: str, test: str) -> str:
    """The command line that makes this victim, without this machine's paths."""
    from bdshift.lab.data import NAMED

    context = click.get_current_context()
    parts = ["bdshift", "lab", "train", folder.name]
    if data != "signs":
        name = Path(data).name
        is_folder = data not in NAMED and name in (*NAMED, "signs")  # not the set of that name
        parts += ["--data", f"./{name}" if is_folder else name]
        parts += ["--test", Path(test).name] if test else []
    for param in context.command.get_params(context):
        name, value = param.name or "", context.params.get(param.name or "")
        if name in _NOT_TOLD or context.get_parameter_source(name) is not _GIVEN:
            continue
        flag = param.opts[0] if value is not False else param.secondary_opts[0]
        parts += [flag] if isinstance(value, bool) else [flag, str(value)]
    return shlex.join(parts)
