"""Measures what an image takes forward and back on one core, beside what it is taken to take
(`bdshift.checkpoints.footprint.Work.seconds`), for networks with random weights.

    python tools/network_speed.py OUT.csv

Time on the processor, so other work matters little; the quickest of three batches.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torchvision
from torch import nn

from bdshift.checkpoints.families.resnet import resnet18
from bdshift.checkpoints.footprint import work_per_image
from bdshift.devices import autocast
from bdshift.lab.networks import NETWORKS, NetworkName

_PRECISIONS = ("bfloat16", "float32")
_OF_LAB: tuple[NetworkName, ...] = (
    "cnn",
    "cnn-norm",
    "cnn-elu",
    "cnn-5x5",
    "resnet20",
    "wrn-16-1",
    "vgg",
)
_OF_TORCHVISION = (
    "resnet18", "resnet50", "vgg16", "densenet121", "mobilenet_v2", "efficientnet_b0",
    "convnext_tiny", "swin_t", "vit_b_16",
)  # fmt: skip
_PIXELS = 2**18  # of a batch, about


def _networks() -> Iterator[tuple[str, nn.Module, int]]:
    """Name, network and side of its images."""
    classes = [str(i) for i in range(10)]
    for name in _OF_LAB:
        yield f"{name} of the lab", NETWORKS[name].build(NETWORKS[name].usual, 32, classes), 32
    for width in (16, 64):
        yield f"resnet18, CIFAR stem, width {width}", resnet18(width, 10), 32
    for called in _OF_TORCHVISION:
        yield called, torchvision.models.get_model(called), 224


def _milliseconds(network: nn.Module, size: int, precision: str) -> float:
    """Of one image, forward and back to it."""
    count = max(4, min(256, _PIXELS // size**2))
    images = torch.rand(count, 3, size, size).to(memory_format=torch.channels_last)
    images.requires_grad_()
    taken = []
    for _ in range(3):
        started = time.process_time()
        with autocast(torch.device("cpu"), precision):
            output = network(images)
        torch.autograd.grad(output.float().sum(), images)
        taken.append(time.process_time() - started)
    return 1e3 * min(taken) / count


def main(out: Path) -> None:
    torch.set_num_threads(1)
    with out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(
            ["network", "side", "multiply-adds", "values", "precision", "ms", "ms assumed"]
        )
        for name, network, size in _networks():
            network.eval().to(memory_format=torch.channels_last)
            work = work_per_image(network, size)
            for precision in _PRECISIONS:
                assumed = 1e3 * 2 * 2 * work.seconds(precision)  # two ways, of one core of two
                rows.writerow(
                    [name, size, round(work.multiply_adds), round(work.values), precision,
                     f"{_milliseconds(network, size, precision):.3g}", f"{assumed:.3g}"]
                )  # fmt: skip
                file.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
