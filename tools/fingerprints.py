"""Write resources/architectures.json: how to recognize torchvision's and timm's networks by the
names and shapes of their parameters, without importing either.

    python tools/fingerprints.py

Run it again when a new torchvision or timm adds networks. Takes about three minutes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from bdshift.checkpoints.families.zoo import fingerprint

OUT = Path(__file__).parents[1] / "resources" / "architectures.json"


def _built(build: Callable[[], nn.Module]) -> nn.Module:
    """Build without memory if possible; a few networks compute while they are built."""
    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):
        return build()


def _mark(network: nn.Module, head: str) -> str:
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    return fingerprint(shapes, head)


def _last_layer(network: nn.Module) -> str:
    """Path of the last layer, which outputs the classes: linear, or a convolution (SqueezeNet)."""
    kinds = (nn.Linear, nn.Conv2d)
    found = [name for name, part in network.named_modules() if isinstance(part, kinds)]
    return found[-1]


def _torchvision() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name in torchvision.models.list_models(module=torchvision.models):
        more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        network = _built(partial(torchvision.models.get_model, name, **more))
        head = _last_layer(network)
        default = torchvision.models.get_model_weights(name).DEFAULT
        size = default.transforms.keywords["crop_size"]
        row = {"name": name, "head": head, "size": size}
        found.setdefault(_mark(network, head), []).append(row)
    return found


def _timm() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    names = timm.list_models()
    for number, name in enumerate(names):
        print(f"\r{number}/{len(names)} {name:60}", end="", file=sys.stderr)
        try:
            network = _built(partial(timm.create_model, name, pretrained=False))
        except Exception as error:  # one of a thousand may need what is not installed
            print(f"\n{name}: left out ({type(error).__name__})", file=sys.stderr)
            continue
        config: Any = network.pretrained_cfg
        head = config.get("classifier")
        size = int(config.get("input_size", (3, 224, 224))[-1])
        kinds = (nn.Linear, nn.Conv2d)
        try:
            audited = isinstance(head, str) and isinstance(network.get_submodule(head), kinds)
        except AttributeError:
            continue
        if audited:  # not those with two heads, or with none
            row = {"name": name, "head": head, "size": size}
            found.setdefault(_mark(network, head), []).append(row)
    return found


def main() -> None:
    table = {
        "made": f"torchvision {version('torchvision')}, timm {version('timm')}, "
        f"torch {version('torch')}; python tools/fingerprints.py",
        "torchvision": _torchvision(),
        "timm": _timm(),
    }
    lines = json.dumps(table, sort_keys=True, separators=(",", ":")).replace("],", "],\n")
    OUT.write_text(lines + "\n")
    print(f"\n{OUT}: {OUT.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
