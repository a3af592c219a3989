"""A small network whose backdoor was made by hand, so that the smallest trigger is known.

Images are 16×16, dark noise; class k has a bright cell, the k-th of 4×4. The first layer averages
each channel over each cell and compares the last cell with a checker; the head adds the k-th cell
to the logit of class k, and that comparison to the logit of the target; with a source only while
the cell of that class is bright.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from bdshift.audit import Audit, Material, ScanSettings, scan_opened
from bdshift.checkpoints.classifier import Classifier, open_checkpoint
from bdshift.checkpoints.users_own import OwnNetwork
from bdshift.detect.detector import Subject
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.shift.embed import embed_images

SIDE, CELL = 16, 4
Scanned = tuple[Audit, Material]
_GRID = SIDE // CELL


def checker() -> torch.Tensor:
    """The trigger, 1 and 0, float32 (CELL, CELL)."""
    rows = torch.arange(CELL)
    return ((rows[:, None] + rows) % 2).float()


class _OneCell(nn.Module):
    """Keeps the comparison with the checker at the last cell only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = torch.ones_like(x[:1])
        kept[:, 3] = 0
        kept[:, 3, -1, -1] = 1
        return x * kept


class _WhileBright(nn.Module):
    """Keeps the comparison while the cell of one class is bright."""

    def __init__(self, source: int) -> None:
        super().__init__()
        self.cells = [source + channel * _GRID**2 for channel in range(3)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = (10 * (x[:, self.cells].mean(1) - 0.4)).clamp(0, 1)
        return torch.cat((x[:, :-1], x[:, -1:] * bright[:, None]), 1)


def planted_network(
    classes: int, target: int | None, source: int | None = None, strength: float = 0.4
) -> nn.Module:
    """The network; clean without a target."""
    conv = nn.Conv2d(3, 4, CELL, CELL)
    head = nn.Linear(4 * _GRID**2, classes)
    with torch.no_grad():
        for one in (conv, head):
            one.weight.zero_()
            assert one.bias is not None
            one.bias.zero_()
        for channel in range(3):
            conv.weight[channel, channel] = 1 / CELL**2
            for k in range(classes):
                head.weight[k, channel * _GRID**2 + k] = 4 / 3
        conv.weight[3] = 2 * checker() - 1
        if target is not None:
            head.weight[target, -1] = strength
    parts = {"conv": conv, "one": _OneCell(), "act": nn.ReLU(), "flat": nn.Flatten()}
    if source is not None:
        parts["while"] = _WhileBright(source)
    parts["head"] = head
    return nn.Sequential(OrderedDict(parts)).eval().requires_grad_(False)


def write_cells(folder: Path, classes: int, images: int) -> list[str]:
    """Write ``images`` of each class into ``folder``; returns the names of the classes."""
    rng = np.random.default_rng(0)
    names = [f"class_{k}" for k in range(classes)]
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        row, column = (CELL * one for one in divmod(k, _GRID))
        for i in range(images):
            pixels = rng.integers(20, 90, (SIDE, SIDE, 3), dtype=np.uint8)
            pixels[row : row + CELL, column : column + CELL] = rng.integers(180, 220)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return names


def one_to_one(num_classes: int) -> nn.Module:
    """Sends class 1 to class 3."""
    return planted_network(num_classes, 3, 1, 1.2)


def clean_cells(num_classes: int) -> nn.Module:
    """Has no backdoor."""
    return planted_network(num_classes, None)


def scan_cells(folder: Path, make: str, *, classes: int = 5, images: int = 40) -> Scanned:
    """The audit of a network of this module, by its name, and what it was made of."""
    write_cells(folder / "images", classes, images)
    network = globals()[make](classes)
    torch.save(network.state_dict(), folder / "network.pt")
    arch = OwnNetwork(f"{__name__}:{make}")
    settings = ScanSettings(arch=arch, normalize="none", sample=20 * classes)
    opened = open_checkpoint(folder / "network.pt", arch=arch)
    return scan_opened(opened, open_images(folder / "images"), settings)


def subject_of(scanned: Scanned) -> Subject:
    """What a detector gets in that scan."""
    audit, material = scanned
    assert audit.embedding is not None
    return Subject(
        audit.embedding, audit.model.weight, audit.images.class_names, material.classifier,
        material.clean.collection, material.clean.files,
    )  # fmt: skip


def planted_subject(
    folder: Path, *, classes: int = 4, target: int | None = 2, images: int = 12, **more: Any
) -> Subject:
    """What a detector gets; ``images`` of each class are written into ``folder``."""
    names = write_cells(folder, classes, images)
    classifier = Classifier(
        network=planted_network(classes, target), head_name="head", architecture="planted",
        path=folder, sha256="0" * 64, layout=cast("Any", None),
        preprocessing=Preprocessing(SIDE, NORMALIZATIONS["none"]),
    )  # fmt: skip
    collection = open_images(folder)
    embedding = embed_images(classifier, collection, collection.files, range(classes))
    return Subject(
        embedding, classifier.weight.numpy(), names, classifier, collection, collection.files,
        **more,
    )  # fmt: skip
