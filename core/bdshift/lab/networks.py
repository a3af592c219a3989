"""The networks that a victim can be: residual ones, and small ones as people write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from bdshift.checkpoints.families.base import USUAL
from bdshift.checkpoints.families.resnet import (
    CIFAR_STEM,
    ResNet,
    ResNetPlan,
    resnet18,
    resnet50,
)
from bdshift.checkpoints.families.wide_resnet import WideResNet
from bdshift.errors import UsageError
from bdshift.extras import pip_install

NetworkName = Literal[
    "resnet18", "resnet50", "resnet20", "wrn-16-1", "cnn", "cnn-norm", "cnn-elu", "cnn-5x5", "vgg",
    "clip",
]  # fmt: skip


@dataclass(frozen=True)
class LabNetwork:
    """One of them.

    Attributes:
        label: its display name; a name, so it is not translated.
        usual: its usual width.
        build: of the width (channels of the first stage), the side of the images in pixels and the
            names of the classes.
    """

    label: str
    usual: int
    build: Callable[[int, int, Sequence[str]], nn.Module]


def _resnet20(width: int, size: int, names: Sequence[str]) -> nn.Module:
    planes = (width, 2 * width, 4 * width)
    plan = ResNetPlan((3,) * 3, planes, width, len(names), head="linear", shortcut="free")
    return ResNet(plan, CIFAR_STEM)


def _wrn16(width: int, size: int, names: Sequence[str]) -> nn.Module:
    return WideResNet((width, 3), 2, (width, 2 * width, 4 * width), len(names), USUAL)


def _cnn(width: int, size: int, names: Sequence[str]) -> nn.Module:
    """Three convolutions and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2 * width * (size // 8) ** 2, 8 * width), nn.ReLU(),
        nn.Linear(8 * width, len(names)),
    )  # fmt: skip


def _cnn_norm(width: int, size: int, names: Sequence[str]) -> nn.Module:
    """Four normalized convolutions; the head gets the mean over the map."""

    def block(channels: int, out: int) -> list[nn.Module]:
        convolution = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(out), nn.ReLU()]

    return nn.Sequential(
        *block(3, width), nn.MaxPool2d(2), *block(width, 2 * width), nn.MaxPool2d(2),
        *block(2 * width, 4 * width), nn.MaxPool2d(2), *block(4 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, len(names)),
    )  # fmt: skip


def _cnn_elu(width: int, size: int, names: Sequence[str]) -> nn.Module:
    """Two 5×5 convolutions, ELU and dropout."""
    side = ((size - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(3, width, 5), nn.ELU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 5), nn.ELU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(2 * width * side**2, 8 * width), nn.ELU(),
        nn.Dropout(0.25), nn.Linear(8 * width, len(names)),
    )  # fmt: skip


def _cnn_5x5(width: int, size: int, names: Sequence[str]) -> nn.Module:
    """Two 5×5 convolutions and two linear layers, as in many a first program."""
    side = ((size - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(3, width, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2 * width * side**2, 16 * width), nn.ReLU(),
        nn.Linear(16 * width, len(names)),
    )  # fmt: skip


def _vgg(width: int, size: int, names: Sequence[str]) -> nn.Module:
    """Three pairs of normalized convolutions, and two linear layers with dropout between them."""
    layers: list[nn.Module] = []
    channels = 3
    for out in (width, 2 * width, 4 * width):
        for before in (channels, out):
            convolution = nn.Conv2d(before, out, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(out), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        channels = out
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(channels * (size // 8) ** 2, 8 * width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(8 * width, len(names)),
    )  # fmt: skip


def _clip(width: int, size: int, names: Sequence[str]) -> nn.Module:
    """Needs open_clip, which takes seconds to import."""
    try:
        from bdshift.lab.clip_network import LabClip
    except ImportError as error:
        raise UsageError(
            "to train a CLIP model: {command}", command=pip_install("open_clip_torch")
        ) from error
    return LabClip(width, size, names)


NETWORKS: Mapping[NetworkName, LabNetwork] = {
    "resnet18": LabNetwork(
        "ResNet-18 with the CIFAR stem", 64, lambda width, _, names: resnet18(width, len(names))
    ),
    "resnet50": LabNetwork(
        "ResNet-50 with the CIFAR stem", 64, lambda width, _, names: resnet50(width, len(names))
    ),
    "resnet20": LabNetwork("ResNet-20, A shortcut", 16, _resnet20),
    "wrn-16-1": LabNetwork("WRN-16-1", 16, _wrn16),
    "cnn": LabNetwork("CNN of three convolutions", 32, _cnn),
    "cnn-norm": LabNetwork("CNN of four normalized convolutions", 32, _cnn_norm),
    "cnn-elu": LabNetwork("CNN of two convolutions with ELU and dropout", 32, _cnn_elu),
    "cnn-5x5": LabNetwork("CNN of two 5×5 convolutions", 32, _cnn_5x5),
    "vgg": LabNetwork("VGG of six normalized convolutions", 32, _vgg),
    "clip": LabNetwork("CLIP of a ResNet and a small text tower", 16, _clip),
}
"""All of them by name. A checkpoint of each is recognized by bdshift's own reader."""
