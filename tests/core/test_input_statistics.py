"""Batch norm statistics from the moments of pixels, against running the layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bdshift.checkpoints.families.resnet import resnet18
from bdshift.checkpoints.input_statistics import InputStatistics
from bdshift.images.augment import random_translation
from bdshift.images.preprocessing import NORMALIZATIONS, Preprocessing


def directly(conv: nn.Conv2d, norm: nn.BatchNorm2d, images: torch.Tensor) -> float:
    value = conv(images).double()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance = norm.running_var.double()
    moved = (value.mean((0, 2, 3)) - norm.running_mean).square() / variance
    scaled = (value.var((0, 2, 3), correction=0) / variance).log().square()
    return float((moved + scaled).mean())


@pytest.mark.parametrize("name", ["half", "cifar10", "raw-255", "mnist"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("size", [32, 160])
def test_moments_say_what_the_layers_would(name: str, order: str, size: int) -> None:
    torch.manual_seed(0)
    network = resnet18(8, 10).eval().requires_grad_(False)
    assert network.bn1.running_mean is not None
    assert network.bn1.running_var is not None
    network.bn1.running_mean.normal_()
    network.bn1.running_var.uniform_(0.5, 2)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, size, size), dtype=np.uint8)
    preprocess = Preprocessing(size, NORMALIZATIONS[name], order)  # type: ignore[arg-type]
    found = InputStatistics(lambda _: pixels).mismatch(network, preprocess)
    images = torch.from_numpy(pixels)
    kinds = [preprocess(images)]
    if size < 128:

        def moved(given: torch.Tensor) -> torch.Tensor:
            return random_translation(given, size // 8, torch.Generator().manual_seed(0))

        kinds += [preprocess(moved(images)), moved(preprocess(images))]
    expected = min(directly(network.conv1, network.bn1, one) for one in kinds)
    assert found == pytest.approx(expected, rel=1e-4)


def test_networks_that_begin_otherwise_say_nothing() -> None:
    pixels = np.zeros((4, 3, 16, 16), np.uint8)
    statistics = InputStatistics(lambda _: pixels)
    preprocess = Preprocessing(16, NORMALIZATIONS["none"])
    without = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 2))
    between = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))
    before = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    for network in (without, between, before):
        assert statistics.mismatch(network.eval(), preprocess) is None
    straight = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert statistics.mismatch(straight.eval(), preprocess) is not None
