"""What the benchmark runs on, drawn from seeds, so that it needs no data.

The network is a ResNet-18 of the usual width with a CIFAR stem: an untrained backbone, and a ridge
head fitted on 500 drawn signs, so that its logits are like a trained network's and the scan takes
its usual path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bdshift.checkpoints.families.resnet import resnet18
from bdshift.images.preprocessing import Preprocessing, parse_normalisation
from bdshift.images.signs import CLASSES, draw_signs

IMAGES, CLASS_COUNT = 2500, 10
NORMALISATION = "half"


@dataclass(frozen=True)
class Row:
    """One line of the table: what, how long or how much, and against what."""

    what: str
    value: str
    note: str = ""


def drawn_problem(
    images: int, dim: int, classes: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N, C) and head (C, d) like a trained network's: φ ≥ 0 around a direction a class,
    rows of W about 1.4 long, logits of the own class some 10 above the others.
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


def write_inputs(folder: Path) -> tuple[Path, Path]:
    """2500 drawn signs of ten classes as PNG files, and a checkpoint that tells them apart."""
    images, labels = draw_signs(IMAGES // CLASS_COUNT, seed=1, split="clean")
    clean = folder / "clean"
    for row in range(IMAGES):
        path = clean / CLASSES[labels[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row].transpose(1, 2, 0)).save(path)
    torch.manual_seed(0)
    network = resnet18(64, CLASS_COUNT).eval()
    picked = np.random.default_rng(0).permutation(IMAGES)[:500]
    preprocess = Preprocessing(32, parse_normalisation(NORMALISATION))
    network.fc = torch.nn.Identity()
    with torch.inference_mode():
        phi = network(preprocess(torch.from_numpy(images[picked]))).double()
    wanted = torch.nn.functional.one_hot(torch.from_numpy(labels[picked]), CLASS_COUNT).double()
    centred = phi - phi.mean(0)
    gram = centred.T @ centred
    ridge = gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = 12 * torch.linalg.solve(ridge, centred.T @ wanted).T
    head = torch.nn.Linear(phi.shape[1], CLASS_COUNT)
    head.weight.data = weight.float()
    head.bias.data = (-weight @ phi.mean(0)).float()
    network.fc = head
    torch.save(network.state_dict(), folder / "model.pth")
    return folder / "model.pth", clean
