"""Train a victim whose backdoor is known, or its clean twin: fast, resumable, from a seed.

Data stays on the device; augmentation is batched there; bfloat16 where the hardware has it;
channels-last. The learning rate rises and falls once, linearly, over the whole run. Every random
choice comes from (seed, epoch), so a run that was stopped and resumed gives the same weights, bit
for bit, as one that was not (same versions, same number of threads).
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.families.resnet import resnet18, resnet50
from bdshift.devices import autocast, has_native_bfloat16, pick_device
from bdshift.errors import InputError, UsageError
from bdshift.files import written_whole
from bdshift.images.augment import random_translation
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.data import LabData
from bdshift.lab.joint import as_learned, start_joint
from bdshift.lab.poison import poison, triggered
from bdshift.lab.recipe import SCHEDULES, Recipe
from bdshift.spec import split_spec, split_specs
from bdshift.text import csv_text
from bdshift.triggers.base import local_file
from bdshift.triggers.card import file_options
from bdshift.triggers.joint import TrainingStep

_STATE, _CARD = "resume.pt", "card.json"
_NETWORKS = {18: resnet18, 50: resnet50}
_Forward = Callable[[torch.Tensor], torch.Tensor]


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


class _Data:
    """The images on the device, poisoned, and the recipe's augmentation."""

    def __init__(self, recipe: Recipe, data: LabData, device: torch.device) -> None:
        self.recipe = recipe
        self.precision = "bfloat16" if has_native_bfloat16(device) else "float32"
        self.pixels = torch.from_numpy(data.train_pixels.copy()).to(device)
        self.labels = torch.from_numpy(data.train_labels.copy()).to(device)
        self.preprocess = Preprocessing(
            data.train_pixels.shape[-1], parse_normalization(recipe.normalization)
        )
        self.backdoors = recipe.backdoors(data.class_names)
        self.joint = start_joint(self.backdoors, recipe.rate, recipe.seed, device)
        self.poisoned = poison(
            self.pixels, self.labels, () if self.joint else self.backdoors, recipe.rate,
            recipe.cover, recipe.seed,
        )  # fmt: skip

    def prepare(self, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Images in 0…255, normalized, translated and mirrored; channels-last."""
        count, reach = len(pixels), self.recipe.translate
        images = self.preprocess(pixels)
        if reach:
            images = random_translation(images, reach, rng)
        if self.recipe.flip:
            mirror = (torch.rand(count, generator=rng) < 0.5).to(images.device)
            images = torch.where(mirror[:, None, None, None], images.flip(3), images)
        return images

    def loss(
        self,
        network: nn.Module,
        forward: _Forward,
        rows: torch.Tensor,
        rng: torch.Generator,
        done: float,
    ) -> torch.Tensor:
        """Loss of a batch; a trigger that is learned takes a step first."""
        pixels, labels = self.pixels[rows], self.labels[rows]

        def classify(images: torch.Tensor) -> torch.Tensor:
            with autocast(pixels.device, self.precision):
                return forward(self.prepare(images, rng)).float()

        if self.joint is not None:
            step = TrainingStep(pixels.float(), labels, rng, done)
            with autocast(pixels.device, self.precision):
                pixels, labels = self.joint.mix(network, classify, step)
        return functional.cross_entropy(classify(pixels), labels)


def predict(network: nn.Module, preprocess: Preprocessing, pixels: torch.Tensor) -> torch.Tensor:
    """Predicted class of each image of ``pixels`` (n, 3, H, W), 0…255; int64 (n,)."""
    network.eval()
    with torch.inference_mode():
        parts = [network(preprocess(part)).argmax(1) for part in pixels.split(500)]
    return torch.cat(parts)


def _evaluate(
    network: nn.Module, data: _Data, lab: LabData, device: torch.device
) -> tuple[float, float | None]:
    pixels = torch.from_numpy(lab.test_pixels).to(device)
    labels = torch.from_numpy(lab.test_labels).to(device)
    acc = (predict(network, data.preprocess, pixels) == labels).float().mean().item()
    rates = []
    for backdoor in data.backdoors:
        sent = [
            predict(network, data.preprocess, images) == wanted
            for images, wanted in triggered(pixels, labels, backdoor)
        ]
        rates.append(torch.cat(sent).float().mean().item())
    return acc, sum(rates) / len(rates) if rates else None


def _compile(network: nn.Module, job: JobContext) -> _Forward:
    """Compiled at the first call, and again in eval mode."""
    from torch._dynamo.exc import TorchDynamoException  # slow to import

    job.note("The network is compiled first, which takes a minute")
    made = torch.compile(network)

    def forward(images: torch.Tensor) -> torch.Tensor:
        try:
            logits: torch.Tensor = made(images)
        except TorchDynamoException as error:
            why = " ".join(str(error).splitlines()[:2])
            raise UsageError("the network cannot be compiled here: {reason}", reason=why) from error
        return logits

    return forward


def _save(path: Path, value: object) -> None:
    with written_whole(path) as part:
        torch.save(value, part)


def train_victim(
    recipe: Recipe,
    lab: LabData,
    folder: Path,
    *,
    command: str = "",
    device: str = "auto",
    compiled: bool = False,
    job: JobContext = SILENT,
) -> VictimFigures:
    """Train, and write ``model.pth``, ``card.json`` and ``log.csv`` into ``folder``, and
    ``trigger.pth`` for a trigger that is learned with it.

    A state is kept after each epoch; the same recipe in the same folder continues from there, and
    returns at once if it is finished. ``command`` is written into the card. ``compiled`` uses
    `torch.compile`, which rounds differently: the same run without it gives different bits.

    Raises `InputError` if the folder holds a run of another recipe or other images, or cannot be
    created, `UsageError` if the recipe does not fit the images or nothing can be compiled here.
    """
    count = len(lab.train_labels)
    if recipe.batch > count:
        raise UsageError(
            "a batch of {batch} is larger than the {count:|image|images} to train on",
            batch=recipe.batch, count=count,
        )  # fmt: skip
    recipe.backdoors(lab.class_names)  # before anything is left behind
    where, images = pick_device(device), lab.digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "{path}: cannot be created ({reason})", path=folder, reason=str(error.strerror)
        ) from error
    card = folder / _CARD
    if card.exists():
        finished = json.loads(card.read_text(encoding="utf-8"))
        _same_run(folder, finished, recipe, images)
        job.note("{path}: is already finished", path=folder)
        return VictimFigures(**finished["outcome"])
    data = _Data(recipe, lab, where)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = _NETWORKS[recipe.depth](recipe.width, len(lab.class_names))
    network = network.to(where).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.peak_rate, 0.9, weight_decay=recipe.weight_decay,
        nesterov=True, fused=where.type in ("cpu", "cuda"),
    )  # fmt: skip
    log: list[dict[str, float]] = []
    state_file = folder / _STATE
    if state_file.exists():
        state = torch.load(state_file, map_location=where, weights_only=True)
        _same_run(folder, state, recipe, images)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        log = state["log"]
        if data.joint is not None:
            data.joint.load(state["joint"])
        job.note("Resuming after epoch {epoch}", epoch=len(log))
    elif data.joint is not None:
        data.joint.begin(data.pixels, recipe.seed, job)
    forward = _compile(network, job) if compiled else network
    steps = len(data.labels) // recipe.batch
    for epoch in range(len(log), recipe.epochs):
        started = time.perf_counter()
        rng = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch + 1)
        order = torch.randperm(len(data.labels), generator=rng).to(where)
        network.train()
        total = torch.zeros((), device=where)
        for step, rows in enumerate(order[: steps * recipe.batch].split(recipe.batch)):
            done = (epoch * steps + step + 1) / (recipe.epochs * steps + 1)
            for group in optimizer.param_groups:
                group["lr"] = recipe.peak_rate * SCHEDULES[recipe.schedule](done)
            loss = data.loss(network, forward, rows, rng, done)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
            note = f"epoch {epoch + 1} of {recipe.epochs}"
            job.progress("Training", epoch * steps + step + 1, recipe.epochs * steps, "steps", note)
        log.append({"loss": total.item() / steps, "seconds": time.perf_counter() - started})
        _save(
            state_file,
            {
                "recipe": asdict(recipe),
                "images": images,
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "log": log,
                "joint": None if data.joint is None else data.joint.state(),
            },
        )
    if data.joint is not None:
        [backdoor] = data.backdoors
        trigger = backdoor.trigger
        data.joint.write(folder / trigger.made_file, trigger.name)
        data.backdoors = as_learned(data.backdoors, folder)
    acc, asr = _evaluate(network, data, lab, where)
    outcome = VictimFigures(acc, asr, data.poisoned, sum(row["seconds"] for row in log))
    weights = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    _save(folder / "model.pth", {"state_dict": weights, "epoch": recipe.epochs, "acc": acc})
    curve = ([i + 1, row["loss"], row["seconds"]] for i, row in enumerate(log))
    (folder / "log.csv").write_text(csv_text([["epoch", "loss", "seconds"], *curve]))
    about = {"precision": data.precision, "compiled": compiled, "images": images}
    _keep_files(recipe, folder)
    _write_card(folder, recipe, outcome, lab.class_names, command, where, about)
    state_file.unlink(missing_ok=True)
    return outcome


def _same_run(folder: Path, found: Mapping[str, Any], recipe: Recipe, images: str) -> None:
    """A run may be older than a setting, and than the images' digest."""
    if asdict(Recipe()) | dict(found["recipe"]) != asdict(recipe):
        raise InputError(
            "{path}: holds a run with another recipe; choose another folder", path=folder
        )
    if found.get("images", images) != images:
        raise InputError("{path}: holds a run on other images; choose another folder", path=folder)


def _keep_files(recipe: Recipe, folder: Path) -> None:
    """Copy the pictures that triggers are made of, so that the card works without the originals."""
    for text in split_specs(recipe.attack):
        name, options = split_spec(text)
        for path in (local_file(options[key]) for key in file_options(name) if options.get(key)):
            if path.exists() and not (folder / path.name).exists():
                shutil.copyfile(path, folder / path.name)


def _write_card(
    folder: Path,
    recipe: Recipe,
    outcome: VictimFigures,
    names: tuple[str, ...],
    command: str,
    device: torch.device,
    about: Mapping[str, object],
) -> None:
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
    with written_whole(folder / _CARD) as part:
        part.write_text(text, encoding="utf-8")
