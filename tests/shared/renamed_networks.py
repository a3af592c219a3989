"""Small networks under other names than their projects give them, as files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from reference_networks import CifarBlock, CifarNet
from torch import nn

from bdshift.checkpoints.classifier import Opened

WIDTHS = (8, 16, 32, 64)
State = Mapping[str, torch.Tensor]


def resnet() -> CifarNet:
    return CifarNet(CifarBlock, (1, 2, 1, 1), WIDTHS, 7)


def state_of(network: nn.Module, rename: Callable[[str], str] = str) -> dict[str, torch.Tensor]:
    return OrderedDict((rename(key), value) for key, value in network.state_dict().items())


def nameless(network: nn.Module) -> dict[str, torch.Tensor]:
    """Every layer has a name of its author's own, in the order in which they were created."""
    layers: dict[str, str] = {}
    found = {}
    for key, value in network.state_dict().items():
        path, _, name = key.rpartition(".")
        found[f"{layers.setdefault(path, f'stuff.l{len(layers):03d}')}.{name}"] = value
    return found


def saved(state: State, tmp_path: Path) -> Path:
    torch.save(dict(state), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def same_logits(opened: Opened, network: nn.Module, size: int = 32) -> list[bool]:
    """For each candidate, whether it computes the same."""
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    images = torch.randn(
        2, first.in_channels, size, size, generator=torch.Generator().manual_seed(0)
    )
    with torch.inference_mode():
        expected = network.eval()(images)
    found = []
    for candidate in opened.candidates:
        try:
            loaded = opened.load(candidate).checked(images)
        except RuntimeError:  # pooled too often for this size
            continue
        found.append(torch.allclose(loaded.embed(images)[1], expected, atol=1e-3))
    return found


DETACHED: dict[str, Callable[[str], str]] = {
    "body and head in modules of their own": lambda key: (
        key.replace("linear", "head.fc") if key.startswith("linear") else f"backbone.{key}"
    ),
    "deeper": lambda key: (
        key.replace("linear", "classifier") if key.startswith("linear") else f"encoder.net.{key}"
    ),
    "the head's name alone": lambda key: key.replace("linear", "fc_new"),
    "the head under the body's prefix, renamed": lambda key: "enc." + key.replace("linear", "out"),
}
