"""Wide ResNets for CIFAR, WRN-d-k, in the naming of NAD and most WRN code.

Keys ``conv1, block1.layer.0.bn1, block1.layer.0.conv1, block1.layer.0.convShortcut, bn1, fc``.
Depth d = 6n + 4 with n blocks per stage, width k = channels of the first stage / 16.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import nn

from bdshift.checkpoints.families.base import (
    ACTIVATIONS,
    Candidate,
    Shapes,
    are_plausible,
    count_blocks,
    count_stages,
    with_rare_activations,
)


class _WideBlock(nn.Module):
    def __init__(self, channels: int, out: int, stride: int, activation: str) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        if channels != out:
            self.convShortcut = nn.Conv2d(channels, out, 1, stride, bias=False)
        self.same = channels == out
        self.activate = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = self.activate(self.bn1(x))
        out = self.conv2(self.activate(self.bn2(self.conv1(active))))
        return out + (x if self.same else self.convShortcut(active))


class _WideStage(nn.Module):
    def __init__(self, count: int, channels: int, out: int, stride: int, activation: str) -> None:
        super().__init__()
        rest = (_WideBlock(out, out, 1, activation) for _ in range(count - 1))
        self.layer = nn.Sequential(_WideBlock(channels, out, stride, activation), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class WideResNet(nn.Module):
    """Stages of ``count`` blocks with ``widths`` channels after a stem of ``stem`` channels
    (out, in).
    """

    def __init__(
        self, stem: tuple[int, int], count: int, widths: tuple[int, ...], classes: int,
        activation: str,
    ) -> None:  # fmt: skip
        super().__init__()
        channels, images = stem
        self.conv1 = nn.Conv2d(images, channels, 3, 1, 1, bias=False)
        self.stages = len(widths)
        for stage, width in enumerate(widths):
            stride = 1 if stage == 0 else 2
            self.add_module(
                f"block{stage + 1}", _WideStage(count, channels, width, stride, activation)
            )
            channels = width
        self.bn1 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)
        self.activate = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, 3, H, W)."""
        x = self.conv1(x)
        for stage in range(self.stages):
            x = self.get_submodule(f"block{stage + 1}")(x)
        return self.fc(self.activate(self.bn1(x)).mean((2, 3)))


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The one network that fits."""
    stem, head = shapes.get("conv1.weight"), shapes.get("fc.weight")
    stages = count_stages(shapes, "block{}.layer.0.")
    if stem is None or len(stem) != 4 or head is None or len(head) != 2 or not stages:
        return
    count = count_blocks(shapes, "block1.layer.{}.")
    widths = tuple(
        shapes.get(f"block{stage}.layer.0.conv1.weight", (0,))[0] for stage in range(1, stages + 1)
    )
    if min(widths) < 1 or not are_plausible(stages * count, shapes):
        return
    depth, factor = 2 * stages * count + 4, widths[0] / stem[0]
    build = partial(WideResNet, (stem[0], stem[1]), count, widths, head[0])
    yield with_rare_activations(f"WRN-{depth}-{factor:g}", build, "fc", (32,))
