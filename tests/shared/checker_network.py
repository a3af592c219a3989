"""A small network whose backdoor was made by hand, so that the smallest trigger is known.

Images are 16×16, dark noise; class k has a bright cell, the k-th of 4×4. The first layer averages
each channel over each cell and compares the last cell with a checker; the head adds the k-th cell
to the logit of class k, and that comparison to the logit of the target.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from bdshift.checkpoints.classifier import Classifier
from bdshift.detect.detector import Subject
from bdshift.images.collection import open_images
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing
from bdshift.shift.embed import embed_images

SIDE, CELL = 16, 4
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


def planted_network(classes: int, target: int | None) -> nn.Module:
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
            head.weight[target, -1] = 0.4
    parts = {"conv": conv, "one": _OneCell(), "act": nn.ReLU(), "flat": nn.Flatten(), "head": head}
    return nn.Sequential(OrderedDict(parts)).eval().requires_grad_(False)


def planted_subject(
    folder: Path, *, classes: int = 4, target: int | None = 2, images: int = 12, **more: Any
) -> Subject:
    """What a detector gets; ``images`` of each class are written into ``folder``."""
    rng = np.random.default_rng(0)
    names = [f"class_{k}" for k in range(classes)]
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        row, column = (CELL * one for one in divmod(k, _GRID))
        for i in range(images):
            pixels = rng.integers(20, 90, (SIDE, SIDE, 3), dtype=np.uint8)
            pixels[row : row + CELL, column : column + CELL] = rng.integers(180, 220)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
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
