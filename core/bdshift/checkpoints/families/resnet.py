"""Residual networks in the naming of torchvision and in that of pytorch-cifar, of any size.

============================  ===================  ======================  ========================
project                       shortcut             head                    stem
============================  ===================  ======================  ========================
torchvision                   ``downsample.0,.1``  ``fc``                  7×7, stride 2, max-pool
CIFAR zoos after torchvision  ``downsample.0,.1``  ``fc``                  3×3, stride 1, no pool
pytorch-cifar, most backdoor  ``shortcut.0,.1``    ``linear``              3×3, stride 1, no pool
PreActResNet (BackdoorBench)  ``shortcut.0``       ``linear``              3×3, no ``bn1`` after it
bearpaw preresnet             ``downsample.0``     ``fc``                  3×3, no ``bn1`` after it
akamaster resnet20…110        none (option A)      ``linear``              3×3, three stages
============================  ===================  ======================  ========================

BackdoorBench's "resnet18" is torchvision's, including the ImageNet stem, at 32×32. ResNeXt and wide
ResNets follow from the shapes. No tensor shows the stem's stride and pooling: each combination is a
candidate. The networks are written here, because importing torchvision takes longer than a scan; a
test compares them with torchvision's outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.families.base import (
    ACTIVATIONS,
    USUAL,
    Candidate,
    Shapes,
    are_plausible,
    count_blocks,
    count_stages,
    with_rare_activations,
)


@dataclass(frozen=True)
class Stem:
    """First convolution and what follows it; ``pool`` is the 3×3 max-pool of stride 2."""

    kernel: int
    stride: int
    pool: bool
    label: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class ResNetPlan:
    """Everything the shapes tell.

    Attributes:
        blocks: number of blocks of each stage.
        planes: channels of each stage, before the bottleneck's expansion by 4.
        stem_width: channels after the first convolution.
        classes: outputs of the head.
        head: its name; ``bias`` whether it has one.
        shortcut: name of the shortcut where the shape changes; "free" is option A of the ResNet
            paper (subsample, pad with zeros), which has no weights.
        bottleneck: three convolutions per block instead of two.
        groups, base_width: as torchvision names them (ResNeXt, wide ResNet).
        preact: normalization and ReLU before each convolution.
        last_norm: a final ``bn`` before pooling, which some pre-activation ResNets have.
        cells: side of the grid of means over 4×4 pixels that the head gets; 1 is one mean over the
            map. It is 2 in WaNet's and LIRA's networks for 64-pixel images.
        channels: of the images.
    """

    blocks: tuple[int, ...]
    planes: tuple[int, ...]
    stem_width: int
    classes: int
    head: str = "fc"
    bias: bool = True
    shortcut: Literal["downsample", "shortcut", "free"] = "downsample"
    bottleneck: bool = False
    groups: int = 1
    base_width: int = 64
    preact: bool = False
    last_norm: bool = False
    cells: int = 1
    channels: int = 3

    @property
    def expansion(self) -> int:
        """Output channels of a block, per plane."""
        return 4 if self.bottleneck else 1


class _Subsample(nn.Module):
    """Option A: every second pixel, and zeros for the new channels."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.before = (out - channels) // 2
        self.after = out - channels - self.before
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, self.before, self.after))


class _ResidualBlock(nn.Module):
    """A basic or bottleneck block, normalized before or after each convolution."""

    def __init__(
        self, plan: ResNetPlan, channels: int, planes: int, stride: int, activation: str
    ) -> None:
        super().__init__()
        inner = planes * plan.base_width // 64 * plan.groups if plan.bottleneck else planes
        out = planes * plan.expansion
        widths = (channels, inner, inner, out) if plan.bottleneck else (channels, planes, planes)
        kernels, strides = ((1, 3, 1), (1, stride, 1)) if plan.bottleneck else ((3, 3), (stride, 1))
        self.count = len(kernels)
        for i, (kernel, step) in enumerate(zip(kernels, strides, strict=True)):
            groups = plan.groups if plan.bottleneck and kernel == 3 else 1
            conv = nn.Conv2d(
                widths[i], widths[i + 1], kernel, step, kernel // 2, groups=groups, bias=False
            )
            self.add_module(f"conv{i + 1}", conv)
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(widths[i if plan.preact else i + 1]))
        self.preact = plan.preact
        self.raw = plan.shortcut == "downsample"  # bearpaw's shortcut bypasses the first norm
        self.activate = ACTIVATIONS[activation]
        self.projection = ""
        if stride != 1 or channels != out:
            self.projection = "free" if plan.shortcut == "free" else plan.shortcut
            self.add_module(self.projection, self._project(plan, channels, out, stride))

    @staticmethod
    def _project(plan: ResNetPlan, channels: int, out: int, stride: int) -> nn.Module:
        if plan.shortcut == "free":
            return _Subsample(channels, out, stride)
        conv = nn.Conv2d(channels, out, 1, stride, bias=False)
        return nn.Sequential(conv) if plan.preact else nn.Sequential(conv, nn.BatchNorm2d(out))

    def _apply_module(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return self.get_submodule(name)(x)

    def _past(self, x: torch.Tensor) -> torch.Tensor:
        return self._apply_module(self.projection, x) if self.projection else x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x
        if self.preact:
            past = x
            for i in range(1, self.count + 1):
                out = self.activate(self._apply_module(f"bn{i}", out))
                if i == 1 and self.projection:
                    past = self._past(x if self.raw else out)
                out = self._apply_module(f"conv{i}", out)
            return out + past
        for i in range(1, self.count + 1):
            out = self._apply_module(f"bn{i}", self._apply_module(f"conv{i}", out))
            if i < self.count:
                out = self.activate(out)
        return self.activate(out + self._past(x))


class ResNet(nn.Module):
    """A `ResNetPlan` with a `Stem`; if pooled over the whole map, it takes any input size."""

    def __init__(self, plan: ResNetPlan, stem: Stem, activation: str = USUAL) -> None:
        super().__init__()
        self.plan = plan
        self.activate = ACTIVATIONS[activation]
        width = plan.stem_width
        self.conv1 = nn.Conv2d(
            plan.channels, width, stem.kernel, stem.stride, stem.kernel // 2, bias=False
        )
        if not plan.preact:
            self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem.pool else nn.Identity()
        for stage, (count, planes) in enumerate(zip(plan.blocks, plan.planes, strict=True)):
            blocks = []
            for index in range(count):
                stride = 2 if index == 0 and stage > 0 else 1
                blocks.append(_ResidualBlock(plan, width, planes, stride, activation))
                width = planes * plan.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        if plan.last_norm:
            self.bn = nn.BatchNorm2d(width)
        features = width * plan.cells**2
        self.add_module(plan.head, nn.Linear(features, plan.classes, bias=plan.bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, 3, H, W)."""
        x = self.conv1(x)
        if not self.plan.preact:
            x = self.activate(self.bn1(x))
        x = self.maxpool(x)
        for stage in range(len(self.plan.blocks)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        if self.plan.last_norm:
            x = self.activate(self.bn(x))
        pooled = functional.avg_pool2d(x, 4).flatten(1) if self.plan.cells > 1 else x.mean((2, 3))
        return self.get_submodule(self.plan.head)(pooled)


CIFAR_STEM = Stem(3, 1, False, "CIFAR stem", (32,))


def resnet18(width: int, classes: int) -> ResNet:
    """A ResNet-18 with the CIFAR stem; ``width`` 64 is the usual one, d = 8·width."""
    return ResNet(
        ResNetPlan((2,) * 4, tuple(width << i for i in range(4)), width, classes), CIFAR_STEM
    )


def resnet50(width: int, classes: int) -> ResNet:
    """A ResNet-50 with the CIFAR stem; ``width`` 64 is the usual one, d = 32·width."""
    planes = tuple(width << i for i in range(4))
    return ResNet(ResNetPlan((3, 4, 6, 3), planes, width, classes, bottleneck=True), CIFAR_STEM)


def stems(kernel: int, preact: bool) -> tuple[Stem, ...]:
    """What a first convolution with this kernel may be followed by, the most common first."""
    if preact:
        return (Stem(kernel, 1, False, "", (32,)),)
    if kernel >= 5:
        return (
            Stem(kernel, 2, True, "ImageNet stem", (224,)),
            Stem(kernel, 2, False, "ImageNet stem without max-pool", (224,)),
            Stem(kernel, 1, False, f"{kernel}×{kernel} stem of stride 1", (32,)),
        )
    return (
        Stem(kernel, 1, False, "CIFAR stem", (32,)),
        Stem(kernel, 1, True, f"{kernel}×{kernel} stem with max-pool", (32,)),
        Stem(kernel, 2, True, f"{kernel}×{kernel} stem of stride 2 with max-pool", (64,)),
    )


def _read_plan(shapes: Shapes) -> ResNetPlan | None:
    """What the shapes say; None if this is not a residual network at all."""
    stem = shapes.get("conv1.weight", ())
    heads = [name for name in ("fc", "linear") if len(shapes.get(f"{name}.weight", ())) == 2]
    stages = range(1, count_stages(shapes, "layer{}.0.") + 1)
    first = shapes.get("layer1.0.conv2.weight", ())
    if len(stem) != 4 or not heads or not stages or len(first) != 4:
        return None
    blocks = tuple(count_blocks(shapes, f"layer{stage}.{{}}.") for stage in stages)
    bottleneck = "layer1.0.conv3.weight" in shapes
    last = "conv3" if bottleneck else "conv2"
    outs = [shapes.get(f"layer{stage}.0.{last}.weight", (0,))[0] for stage in stages]
    planes = tuple(out // (4 if bottleneck else 1) for out in outs)
    if min(*planes, *blocks, *first, *stem[:2]) < 1 or not are_plausible(sum(blocks), shapes):
        return None
    groups = max(1, first[0] // first[1]) if bottleneck else 1
    base_width = first[0] * 64 // (planes[0] * groups) if bottleneck else 64
    if min(planes) * base_width < 64:  # its blocks would be empty
        return None
    width, features = planes[-1] * (4 if bottleneck else 1), shapes[f"{heads[0]}.weight"][1]
    keys = "\n".join(shapes)
    named = "downsample" if ".downsample." in keys else "shortcut"
    free = f".{named}." not in keys and len(set(planes)) > 1
    return ResNetPlan(
        blocks=blocks,
        planes=planes,
        stem_width=stem[0],
        classes=shapes[f"{heads[0]}.weight"][0],
        head=heads[0],
        bias=f"{heads[0]}.bias" in shapes,
        shortcut="free" if free else "downsample" if named == "downsample" else "shortcut",
        bottleneck=bottleneck,
        groups=groups,
        base_width=base_width,
        preact="bn1.weight" not in shapes,
        last_norm="bn.weight" in shapes,
        channels=stem[1],
        cells=next((side for side in (2, 3, 4) if width * side**2 == features), 1),
    )


def describe(plan: ResNetPlan) -> str:
    """The name that papers use: depth counts convolutions on the longest path, and the head."""
    depth = sum(plan.blocks) * (3 if plan.bottleneck else 2) + 2
    name = f"{'PreActResNet' if plan.preact else 'ResNet'}-{depth}"
    if plan.groups > 1:
        width = plan.planes[0] * plan.base_width // 64
        name = name.replace("ResNet", "ResNeXt") + f" {plan.groups}×{width}d"
    elif plan.base_width != 64:
        name = f"Wide {name}-{plan.base_width / 64:g}"
    if plan.planes[0] != (64 if len(plan.blocks) >= 4 else 16):
        name += f", width {plan.planes[0]}"
    return name + (", A shortcut" if plan.shortcut == "free" else "")


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """Every stem that fits the first convolution's kernel, the most common first."""
    plan = _read_plan(shapes)
    if plan is None:
        return
    options = stems(shapes["conv1.weight"][2], plan.preact)
    for stem in options if plan.cells == 1 else options[:1]:  # it leaves 4×4 pixels
        name = f"{describe(plan)}, {stem.label}" if stem.label else describe(plan)
        sizes = stem.sizes if plan.cells == 1 else tuple(plan.cells * size for size in stem.sizes)
        build = partial(ResNet, plan, stem)
        yield with_rare_activations(name, build, plan.head, sizes, any_size=plan.cells == 1)
