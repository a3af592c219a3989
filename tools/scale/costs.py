"""What an audit of a network costs, counted and not run: bytes, FLOPs, passes of the searches."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bdshift.audit.second_stage import second_stage
from bdshift.budgets import SCAN_SECONDS
from bdshift.checkpoints.classifier import Classifier
from bdshift.checkpoints.families.resnet import resnet18
from bdshift.detect.detectors.embedding_shift import EmbeddingShift
from bdshift.detect.image_search import ImageSearch
from bdshift.recovery.effort import affordable_passes

CLASSES = 10
"""Of every network here: those that people fine-tune have few."""

SMALL = "ResNet-18, CIFAR stem"

PRECISION = "bfloat16"
"""Of a processor or GPU that has it."""

NETWORKS = {
    SMALL: "", "EfficientNet-B0": "efficientnet_b0", "ResNet-50": "resnet50",
    "ResNet-152": "resnet152", "ViT-L/16": "vit_l_16", "ConvNeXt-L": "convnext_large",
}  # fmt: skip
"""By name, as torchvision calls them."""

KINDS = ("mask", "additive", "pair-mask")
"""Searches of a scan's second stage, in the order in which a budget buys them."""


@dataclass(frozen=True)
class CountedNetwork:
    """A network and what an image costs in it.

    Attributes:
        name: as in `NETWORKS`.
        size: pixels of its images' sides.
        bytes: of its weights, float32.
        dim: neurons of its embedding.
        forward, backward: FLOPs of an image, two for each multiply-add; backward to the image
            alone, as the searches need.
        kinds: searches that the default budget of a scan buys.
        budget: that buys all searches, in seconds.
    """

    name: str
    size: int
    bytes: int
    dim: int
    forward: int
    backward: int
    kinds: int
    budget: float


def count_network(name: str) -> CountedNetwork:
    """Build it without memory, and count."""
    size = 32 if name == SMALL else 224
    with torch.device("meta"):
        network: nn.Module = (
            resnet18(64, CLASSES) if name == SMALL
            else getattr(torchvision.models, NETWORKS[name])(num_classes=CLASSES)
        )  # fmt: skip
    network.eval().requires_grad_(False)
    image = torch.zeros(1, 3, size, size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        network(image.requires_grad_()).sum().backward()
    classifier = cast(
        Classifier,
        SimpleNamespace(
            network=network, classes=CLASSES,
            preprocessing=SimpleNamespace(size=size, channels=3),
        ),
    )  # fmt: skip
    buys, everything = (
        [one for one in second_stage(classifier, seconds, PRECISION, [EmbeddingShift()])
         if isinstance(one, ImageSearch)]
        for seconds in (SCAN_SECONDS, 1e9)
    )  # fmt: skip
    whole = sum(one.work(CLASSES) for one in everything) / affordable_passes(
        classifier, 1.0, PRECISION
    )
    head = [one for one in network.modules() if isinstance(one, nn.Linear)][-1]
    return CountedNetwork(
        name, size, sum(4 * one.numel() for one in network.state_dict().values()),
        head.in_features, forward, counter.get_total_flops() - forward, len(buys), round(whole, 1),
    )  # fmt: skip


def write_networks(path: Path) -> None:
    """Count all of `NETWORKS`."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(field.name for field in fields(CountedNetwork))
        writer.writerows(astuple(count_network(name)) for name in NETWORKS)


def read_networks(path: Path) -> Iterator[CountedNetwork]:
    """What `write_networks` has written."""
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            numbers = {key: int(row[key]) for key in row if key not in ("name", "budget")}
            yield CountedNetwork(name=row["name"], budget=float(row["budget"]), **numbers)


@dataclass(frozen=True)
class SearchCost:
    """Images that a search sends each way: ``fixed + each * classes`` forward, ``fixed_back +
    each_back * classes`` back.
    """

    kind: str
    fixed: float
    each: float
    fixed_back: float
    each_back: float

    def forward(self, classes: int) -> float:
        """Images forward."""
        return self.fixed + self.each * classes

    def backward(self, classes: int) -> float:
        """Images back."""
        return self.fixed_back + self.each_back * classes


def measured_searches(rows: Path) -> list[SearchCost]:
    """From rows of `bdshift lab detectors`: the line through the medians at four and ten classes;
    that for pairs of classes does not grow with them, so it has the median at ten.
    """
    found: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    with rows.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["forwards"]:
                key = row["detector"].partition(":")[0], row["scores"].count(";") + 1
                found[key].append((int(row["forwards"]), int(row["backwards"])))
    costs = []
    for kind in KINDS:
        (few, few_back), (many, many_back) = (
            [statistics.median(one) for one in zip(*found[kind, classes], strict=True)]
            for classes in (4, 10)
        )
        grows = kind != "pair-mask"
        each, each_back = grows * (many - few) / 6, grows * (many_back - few_back) / 6
        fixed, fixed_back = many - 10 * each, many_back - 10 * each_back
        costs.append(SearchCost(kind, fixed, each, fixed_back, each_back))
    return costs
