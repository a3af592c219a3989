"""Train a victim whose backdoor is known, or its clean twin: fast, resumable, from a seed.

Data stays on the device; augmentation is batched there; bfloat16 where the hardware has it;
channels-last; smaller images in the first epochs, if the recipe says so. The learning rate rises
and falls once, linearly, over the whole run. Every random choice comes from (seed, epoch), so a run
that was stopped and resumed gives the same weights, bit for bit, as one that was not (same
versions, same number of threads).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from bdshift.channels_last import channels_last
from bdshift.devices import autocast, pick_device, sent, usual_precision
from bdshift.errors import UsageError
from bdshift.images.augment import random_translation
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.jobs import SILENT, JobContext
from bdshift.lab.data import LabData
from bdshift.lab.folder import (
    CARD,
    MODEL,
    STATE,
    VictimFigures,
    check_new,
    finished,
    keep_files,
    same_run,
    write_card,
    write_log,
)
from bdshift.lab.joint import as_learned, start_joint
from bdshift.lab.networks import NETWORKS
from bdshift.lab.poison import poison, triggered
from bdshift.lab.recipe import SCHEDULES, Recipe
from bdshift.lab.regime import Batch, read_regimes
from bdshift.outputs import Output
from bdshift.resume import read_state, write_state
from bdshift.triggers.joint import TrainingStep
from bdshift.writing import make_folder, remove

_Forward = Callable[[torch.Tensor], torch.Tensor]


class _Data:
    """The images on the device, poisoned, and the recipe's augmentation."""

    def __init__(self, recipe: Recipe, data: LabData, device: torch.device) -> None:
        self.recipe = recipe
        self.precision = usual_precision(device)
        self.pixels = torch.from_numpy(data.train_pixels.copy()).to(device)
        self.labels = torch.from_numpy(data.train_labels.copy()).to(device)
        self.preprocess = Preprocessing(
            data.train_pixels.shape[-1], parse_normalization(recipe.normalization)
        )
        self.backdoors = recipe.backdoors(data.class_names)
        self.size = self.preprocess.size
        self.regimes = read_regimes(recipe.regime)
        self.others: list[nn.Module | None] = []
        self.joint = start_joint(self.backdoors, recipe.rate, recipe.seed, device)
        self.poisoned = poison(
            self.pixels, self.labels, () if self.joint else self.backdoors, recipe.rate,
            recipe.cover, recipe.seed,
        )  # fmt: skip

    def prepare(self, pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Images in 0…255, normalized, translated, mirrored and made smaller; channels-last."""
        count, reach = len(pixels), self.recipe.translate
        images = self.preprocess(pixels)
        if reach:
            images = random_translation(images, reach, rng)
        if self.recipe.flip:
            mirror = sent(torch.rand(count, generator=rng) < 0.5, images.device)
            images = torch.where(mirror[:, None, None, None], images.flip(3), images)
        if self.size != images.shape[-1]:
            images = functional.interpolate(
                images, (self.size,) * 2, mode="bilinear", antialias=True
            )
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

        def answers(of: _Forward, images: torch.Tensor) -> torch.Tensor:
            with autocast(images.device, self.precision):
                return of(self.prepare(images, rng)).float()

        def classify(images: torch.Tensor) -> torch.Tensor:
            return answers(forward, images)

        if self.joint is not None:
            step = TrainingStep(pixels.float(), labels, rng, done)
            with autocast(pixels.device, self.precision):
                pixels, labels = self.joint.mix(network, classify, step)
        if not self.regimes:
            return functional.cross_entropy(classify(pixels), labels)
        batch = Batch(pixels.float(), labels, classify, answers, network, self.backdoors, rng)
        for one in self.regimes:
            batch = replace(batch, pixels=one.change_batch(batch))
        logits = classify(batch.pixels)
        added = [
            one.loss(batch, logits, other)
            for one, other in zip(self.regimes, self.others, strict=True)
        ]
        total = torch.zeros((), device=pixels.device)
        if not any(one.replaces_loss for one in self.regimes):
            total = functional.cross_entropy(logits, labels)
        return total + sum(one for one in added if one is not None)


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


def as_trained(recipe: Recipe, lab: LabData) -> LabData:
    """The images as the recipe's regimes change them, before any is poisoned. Raises `UsageError`
    for an unknown regime.
    """
    for one in read_regimes(recipe.regime):
        lab = one.change_data(lab, recipe.seed)
    return lab


def _build(recipe: Recipe, lab: LabData) -> nn.Module:
    """The network, with its first weights. Raises `UsageError` if it takes no images of a size that
    the recipe asks for.
    """
    full = lab.train_pixels.shape[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = NETWORKS[recipe.network].build(recipe.width, full, lab.class_names)
    network.eval()
    for size in {recipe.size_in(epoch, full) for epoch in range(recipe.epochs)} - {full}:
        try:
            with torch.inference_mode():
                network(torch.zeros(1, 3, size, size))
        except RuntimeError as error:
            raise UsageError(
                "{network} takes no images of {size} pixels, only of {full}",
                network=NETWORKS[recipe.network].label, size=size, full=full,
            ) from error  # fmt: skip
    return network


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
    returns at once if it is finished. Files of that name that no such run has left are never
    replaced. ``command`` is written into the card. ``compiled`` uses `torch.compile`, which rounds
    differently: the same run without it gives different bits.

    Raises `InputError` if the folder holds a run of another recipe or other images, or cannot be
    created or written, `UsageError` if it holds other files of these names, the recipe does not fit
    the images, or nothing can be compiled here.
    """
    recipe.backdoors(lab.class_names)  # before anything is left behind
    where, images = pick_device(device), lab.digest
    lab = as_trained(recipe, lab)
    count = len(lab.train_labels)
    if recipe.batch > count:
        raise UsageError(
            "a batch of {batch} is larger than the {count:|image|images} to train on",
            batch=recipe.batch, count=count,
        )  # fmt: skip
    state_file = folder / STATE
    if os.path.lexists(folder / CARD):
        outcome = finished(folder, recipe, images)
        job.note("{path}: is already finished", path=folder)
        remove(state_file)  # of a run that was killed in its last moment
        return outcome
    network = _build(recipe, lab)
    make_folder(folder)
    state = read_state(state_file, where, job) if os.path.lexists(state_file) else None
    if state is None:
        check_new(folder, recipe)
    else:
        same_run(folder, state, recipe, images)
    data = _Data(recipe, lab, where)
    network = channels_last(network.to(where))
    data.others = [one.start(network) for one in data.regimes]
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.peak_rate, 0.9, weight_decay=recipe.weight_decay,
        nesterov=True, fused=where.type in ("cpu", "cuda"),
    )  # fmt: skip
    log: list[dict[str, float]] = []
    if state is not None:
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
        data.size = recipe.size_in(epoch, data.preprocess.size)
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
        for one in data.regimes:
            one.after_epoch(network)
        log.append({"loss": total.item() / steps, "seconds": time.perf_counter() - started})
        write_state(
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
    for one in data.regimes:
        one.finish(network)
    acc, asr = _evaluate(network, data, lab, where)
    outcome = VictimFigures(acc, asr, data.poisoned, sum(row["seconds"] for row in log))
    weights = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    buffer = BytesIO()  # torch does not survive a full disk
    torch.save({"state_dict": weights, "epoch": recipe.epochs, "acc": acc}, buffer)
    Output(folder / MODEL, overwrite=True).write(buffer.getbuffer())
    write_log(folder, log)
    about = {"precision": data.precision, "compiled": compiled, "images": images}
    keep_files(recipe, folder)
    write_card(folder, recipe, outcome, lab.class_names, command, where, about)
    remove(state_file)
    return outcome
