"""Networks as their projects define them, rewritten here, so that what bdshift builds for a file
from such a project is compared with something that bdshift did not build.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def conv(i: int, o: int, k: int, s: int = 1) -> nn.Conv2d:
    return nn.Conv2d(i, o, k, s, k // 2, bias=False)


class CifarBlock(nn.Module):
    """pytorch-cifar's BasicBlock, and akamaster's (option A or B)."""

    def __init__(self, i: int, o: int, stride: int, option: str = "B") -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)
        self.shortcut: nn.Module = nn.Sequential()
        self.pad = 0
        if stride != 1 or i != o:
            if option == "A":
                self.pad = o // 4
            else:
                self.shortcut = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            past = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad), "constant", 0)
        else:
            past = self.shortcut(x)
        return F.relu(out + past)


class CifarBottleneck(nn.Module):
    """pytorch-cifar's Bottleneck."""

    def __init__(self, i: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(i, planes, 1), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv(planes, planes, 3, stride), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = conv(planes, 4 * planes, 1), nn.BatchNorm2d(4 * planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or i != 4 * planes:
            self.shortcut = nn.Sequential(
                conv(i, 4 * planes, 1, stride), nn.BatchNorm2d(4 * planes)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return F.relu(self.bn3(self.conv3(out)) + self.shortcut(x))


class PreActBlock(nn.Module):
    """pytorch-cifar's PreActBlock; ``shortcut`` exists only where the shape changes."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3)
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(conv(i, o, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(x))
        past = self.shortcut(out) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(self.conv1(out)))) + past


class CifarNet(nn.Module):
    """pytorch-cifar's ResNet and PreActResNet, and akamaster's with three stages."""

    def __init__(self, block, counts, widths, classes: int, *, preact: bool = False, **kwargs):  # type: ignore[no-untyped-def]
        super().__init__()
        self.preact = preact
        i = widths[0]
        self.conv1 = conv(3, i, 3)
        if not preact:
            self.bn1 = nn.BatchNorm2d(i)
        self.stages = len(counts)
        for stage, (count, width) in enumerate(zip(counts, widths, strict=True)):
            out = width * (4 if block is CifarBottleneck else 1)
            blocks = []
            for k in range(count):
                blocks.append(block(i, width, 2 if stage and not k else 1, **kwargs))
                i = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(i, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        if not self.preact:
            x = F.relu(self.bn1(x))
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        x = F.avg_pool2d(x, x.shape[-1])
        return self.linear(x.view(x.size(0), -1))


class WrnBlock(nn.Module):
    """The WRN block in the naming of NAD."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), conv(i, o, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), conv(o, o, 3)
        self.equal = i == o
        self.convShortcut = None if self.equal else conv(i, o, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.equal:
            out = F.relu(self.bn1(x))
        else:
            x = F.relu(self.bn1(x))
            out = x
        out = self.conv2(F.relu(self.bn2(self.conv1(out))))
        return (x if self.convShortcut is None else self.convShortcut(x)) + out


class WrnStage(nn.Module):
    def __init__(self, count: int, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            *(WrnBlock(i if k == 0 else o, o, stride if k == 0 else 1) for k in range(count))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Wrn(nn.Module):
    """WRN-depth-factor as NAD saves it."""

    def __init__(self, depth: int, factor: int, classes: int) -> None:
        super().__init__()
        count = (depth - 4) // 6
        widths = [16, 16 * factor, 32 * factor, 64 * factor]
        self.conv1 = conv(3, 16, 3)
        self.block1 = WrnStage(count, widths[0], widths[1], 1)
        self.block2 = WrnStage(count, widths[1], widths[2], 2)
        self.block3 = WrnStage(count, widths[2], widths[3], 2)
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        x = F.avg_pool2d(F.relu(self.bn1(x)), 8)
        return self.fc(x.view(-1, self.fc.in_features))


def randomize(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight and running statistic its own value, so that a mix-up shows."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=rng) + 0.5)
            elif value.is_floating_point() and value.dim() == 1:
                value.copy_(torch.rand(value.shape, generator=rng) * 0.5 + 0.5)
            elif value.is_floating_point():
                fan_in = value[0].numel()
                value.copy_(torch.randn(value.shape, generator=rng) * (2 / fan_in) ** 0.5)
    return network.eval()
