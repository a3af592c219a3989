"""How fast the lab trains next to a plain PyTorch loop: python tools/training_speed.py [EPOCHS]

Both train the same ResNet-18 of width 16 on the same drawn signs, from the same seed, with the same
augmentation, schedule and batch size. The plain loop is what tutorials use: a Dataset of images, a
DataLoader with two workers, torchvision's transforms, float32, torch's own SGD.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bdshift.checkpoints.families.resnet import resnet18
from bdshift.images.preprocessing import Preprocessing, parse_normalization
from bdshift.lab.data import LabData, load_lab_data
from bdshift.lab.recipe import FAST, SCHEDULES, Recipe
from bdshift.lab.train import predict, train_victim


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """Like torchvision's CIFAR10: arrays, converted to PIL images one by one."""

    def __init__(self, lab: LabData, reach: int) -> None:
        self.pixels = np.ascontiguousarray(lab.train_pixels.transpose(0, 2, 3, 1))
        self.labels = lab.train_labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(self.pixels.shape[1], reach),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[row])), int(self.labels[row])


def plain(recipe: Recipe, lab: LabData) -> tuple[float, float]:
    """Train in the plain loop; returns the accuracy, and the seconds of training."""
    torch.manual_seed(recipe.seed)
    network = resnet18(recipe.width, len(lab.class_names))
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.peak_rate, 0.9, weight_decay=recipe.weight_decay, nesterov=True
    )
    loader = DataLoader(
        Pictures(lab, recipe.translate), recipe.batch, shuffle=True, num_workers=2, drop_last=True
    )
    started = time.perf_counter()
    for epoch in range(recipe.epochs):
        network.train()
        for step, (images, labels) in enumerate(loader):
            done = (epoch * len(loader) + step + 1) / (recipe.epochs * len(loader) + 1)
            for group in optimizer.param_groups:
                group["lr"] = recipe.peak_rate * SCHEDULES[recipe.schedule](done)
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
    seconds = time.perf_counter() - started
    half = Preprocessing(lab.test_pixels.shape[-1], parse_normalization(recipe.normalization))
    found = predict(network, half, torch.from_numpy(lab.test_pixels))
    return float((found.numpy() == lab.test_labels).mean()), seconds


def main() -> None:
    recipe = replace(FAST, epochs=int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    lab = load_lab_data("signs", "")
    images = recipe.epochs * (len(lab.train_labels) // recipe.batch) * recipe.batch
    with tempfile.TemporaryDirectory() as folder:
        ours = train_victim(recipe, lab, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        faster = train_victim(recipe, lab, Path(folder), compiled=True)
    accuracy, seconds = plain(recipe, lab)
    print(f"{recipe.epochs} epochs of {len(lab.train_labels)} images, torch {torch.__version__}")
    print(f"bdshift lab train: {images / ours.seconds:.0f} images/s, ACC {ours.acc:.2%}")
    print(f"compiled: {images / faster.seconds:.0f} images/s, ACC {faster.acc:.2%}")
    print(f"plain PyTorch loop: {images / seconds:.0f} images/s, ACC {accuracy:.2%}")


if __name__ == "__main__":
    main()
