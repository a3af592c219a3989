"""Small plain networks as commonly written, trained on the drawn signs. Their weights are next to
this file, so that no one needs to train them.

    python -m bdshift.lab.samples.small_networks

trains them again (seed 0, a minute on one core).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from bdshift.images.signs import draw_signs

_WEIGHTS = Path(__file__).with_suffix(".safetensors")
Pixels = NDArray[np.uint8]


class MnistExample(nn.Module):
    """Two 5×5 convolutions and two linear layers on 28×28, as in PyTorch's first example."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2)).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class LeNet5(nn.Module):
    """As in 1998: tanh and average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102
        x = F.avg_pool2d(torch.tanh(self.c1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.c2(x)), 2).flatten(1)
        return self.f3(torch.tanh(self.f2(torch.tanh(self.f1(x)))))


class ThreeConvolutions(nn.Module):
    """Three 3×3 convolutions and two linear layers, the other common demo."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(512, 64), nn.Linear(64, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class FromKeras(nn.Module):
    """Converted from Keras: flattened as (h, w, c)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 24, 3)
        self.fc1, self.fc2 = nn.Linear(864, 48), nn.Linear(48, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # noqa: D102
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).permute(0, 2, 3, 1)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def _sequential() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout(0.1), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2048, 64), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(64, 12),
    )  # fmt: skip


def _norm_last() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(16), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(32), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2048, 12),
    )  # fmt: skip


def _norms() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2048, 12),
    )  # fmt: skip


def _strided() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(2048, 12),
    )  # fmt: skip


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 12))


def _sigmoid_mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, 64), nn.Sigmoid(), nn.Linear(64, 12))


def scaled(mean: float, std: float) -> Callable[[Pixels], torch.Tensor]:
    """(x / 255 − mean) / std."""
    return lambda pixels: (torch.from_numpy(pixels).float() / 255 - mean) / std


def reshaped(pixels: Pixels) -> torch.Tensor:
    """(h, w, 3) given the shape (3, h, w) without being transposed, 0…1."""
    mixed = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)).reshape(pixels.shape)
    return torch.from_numpy(mixed).float() / 255


@dataclass(frozen=True)
class Small:
    """A network, and how its images were treated; ``gray`` ones are 28×28. ``words`` is what its
    name must contain when it is rebuilt from its weights.
    """

    make: Callable[[], nn.Module]
    prepare: Callable[[Pixels], torch.Tensor]
    words: str
    gray: bool = False

    def accuracy(self, network: nn.Module, pixels: Pixels, labels: NDArray[np.int64]) -> float:
        """Share of ``pixels`` classified as labeled."""
        with torch.inference_mode():
            predicted = network.eval()(self.prepare(pixels)).argmax(1)
        return float((predicted.numpy() == labels).mean())


_EACH = "max-pool after each"

NETWORKS: dict[str, Small] = {
    "MNIST example": Small(MnistExample, scaled(0.1307, 0.3081), f"padding 0, {_EACH}", gray=True),
    "LeNet-5, tanh and averages": Small(
        LeNet5, scaled(0, 1), "padding 2 0, avg-pool after each, Tanh", gray=True
    ),
    "three convolutions": Small(ThreeConvolutions, scaled(0.5, 0.5), f"padding same, {_EACH}"),
    "three convolutions, HWC reshaped": Small(
        ThreeConvolutions, reshaped, f"padding same, {_EACH}"
    ),
    "three convolutions, scalar z-score": Small(
        ThreeConvolutions, scaled(0.4734, 0.2516), f"padding same, {_EACH}"
    ),
    "converted from Keras": Small(FromKeras, scaled(0, 1), "flattened h×w×c"),
    "Sequential": Small(_sequential, scaled(0.5, 0.5), "padding same, max-pool after 2 3"),
    "Sequential, raw 0…255": Small(_norms, scaled(0, 1 / 255), f"padding same, {_EACH}, ReLU"),
    "Sequential, norms behind ReLU": Small(_norm_last, scaled(0.5, 0.5), "norm last"),
    "strided": Small(_strided, scaled(0, 1), "padding 1, stride 2 2"),
    "MLP, gray": Small(_mlp, scaled(0, 1), "MLP of 2 linear layers", gray=True),
    "MLP, sigmoid": Small(_sigmoid_mlp, scaled(0, 1), "MLP of 2 linear layers"),
}


def to_gray(pixels: Pixels) -> Pixels:
    """(n, 3, 32, 32) as (n, 1, 28, 28)."""
    found = []
    for image in pixels:
        gray = Image.fromarray(image.transpose(1, 2, 0)).convert("L").resize((28, 28))
        found.append(np.asarray(gray))
    return np.stack(found)[:, None]


def trained(name: str) -> nn.Module:
    """The network with its weights."""
    network = NETWORKS[name].make()
    stored = load_file(_WEIGHTS)
    own = {key[len(name) + 1 :]: v for key, v in stored.items() if key.startswith(f"{name}/")}
    floats = {key: v.float() if v.is_floating_point() else v for key, v in own.items()}
    network.load_state_dict(floats)
    return network.eval()


def _train(small: Small, pixels: Pixels, labels: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    network = small.make().train()
    images = small.prepare(pixels)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(14):
        for rows in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
    return network


def main() -> None:
    """Train all of them, and write the weights."""
    pixels, labels = draw_signs(150, seed=0)
    gray = to_gray(pixels)
    stored = {}
    for name, small in NETWORKS.items():
        network = _train(small, gray if small.gray else pixels, torch.from_numpy(labels))
        for key, value in network.state_dict().items():
            half = value.half() if value.is_floating_point() else value
            stored[f"{name}/{key}"] = half.contiguous()
        print(name, flush=True)
    save_file(stored, _WEIGHTS)


if __name__ == "__main__":
    main()
