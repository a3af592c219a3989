"""Inputs of the benchmark, generated from seeds, so that it needs no data.

The network is a ResNet-18 of the usual width with a CIFAR stem, which gives the same answers as the
demo's victim, so that the scan takes its usual path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bdshift.assets import asset
from bdshift.checkpoints.classifier import open_checkpoint
from bdshift.checkpoints.families.resnet import resnet18
from bdshift.images.signs import CLASSES, draw_signs

IMAGES = 2500
NORMALIZATION = "half"


@dataclass(frozen=True)
class BenchRow:
    """One line of the table: what, how long or how much, and against what."""

    what: str
    value: str
    note: str = ""


def drawn_problem(
    images: int, dim: int, classes: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N, C) and head (C, d) like a trained network's: φ ≥ 0 around one direction per class,
    rows of W of norm about 1.4, logits of the true class about 10 above the others.
    """
    rng = torch.Generator().manual_seed(seed)
    direction = torch.randn(classes, dim, generator=rng)
    weight = 1.4 * direction / direction.norm(dim=1, keepdim=True)
    weight += 0.02 * torch.randn(classes, dim, generator=rng)
    logits = torch.empty(images, classes)
    for start in range(0, images, 4096):
        count = min(4096, images - start)
        labels = torch.randint(classes, (count,), generator=rng)
        noise = torch.randn(count, dim, generator=rng)
        phi = (0.35 * noise + 0.3 * direction[labels] + 0.3).relu_()
        logits[start : start + count] = phi @ weight.T
    return logits.numpy(), weight.numpy()


def _widened_victim() -> dict[str, torch.Tensor]:
    """The demo's victim inside a ResNet-18 of the usual width: its channels are the first of each
    layer and receive nothing from the others, so the outputs are the victim's and the cost is the
    wide network's.
    """
    opened = open_checkpoint(asset("demo/victim.pth"))
    small = opened.load(opened.candidates[0]).network.state_dict()
    torch.manual_seed(0)
    wide = resnet18(64, len(CLASSES)).state_dict()
    for name, value in wide.items():
        part = small[name]
        if name.startswith(("conv1.", "bn1.")) and value.dim() > 0:
            value.copy_(part.repeat(len(value) // len(part), *[1] * (part.dim() - 1)))
        elif value.dim() > 1:
            value[: len(part)] = 0
            value[: len(part), : part.shape[1]] = part
        elif value.dim() == 1:
            value[: len(part)] = part
    return wide


def write_inputs(folder: Path) -> tuple[Path, Path]:
    """2500 drawn signs as PNG files, and a checkpoint that classifies them."""
    images, labels = draw_signs(IMAGES // len(CLASSES) + 1, seed=1, split="clean")
    clean = folder / "clean"
    for row in np.random.default_rng(0).permutation(len(images))[:IMAGES]:
        path = clean / CLASSES[labels[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row].transpose(1, 2, 0)).save(path)
    torch.save(_widened_victim(), folder / "model.pth")
    return folder / "model.pth", clean
