"""The models of `fleet_trial.py`: good ones that differ, and bad ones, each bad in its own way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

_NOISE = 1e-3  # of a tensor's standard deviation


def write_good_ones(models: list[Path], count: int, folder: Path) -> list[Path]:
    """``count`` files with weights of ``models`` in turn, each with a little noise of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    states = [torch.load(one, weights_only=True) for one in models]
    found = []
    for number in range(count):
        path = folder / f"good-{number:03}.pth"
        found.append(path)
        if path.exists():
            continue
        random = torch.Generator().manual_seed(number)
        torch.save(_noisy(states[number % len(states)], random), path)
    return found


def _noisy(state: Any, random: torch.Generator) -> Any:
    if isinstance(state, dict):
        return {name: _noisy(one, random) for name, one in state.items()}
    if not isinstance(state, torch.Tensor) or not state.is_floating_point() or state.dim() < 2:
        return state
    return state + _NOISE * state.std() * torch.randn(state.shape, generator=random)


class _Harm:
    """Makes a file when it is unpickled by a reader that runs code."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def write_bad_ones(model: Path, folder: Path, mark: Path) -> dict[str, str]:
    """Write them, and say which status each must have."""
    whole = model.read_bytes()
    (folder / "bad-truncated.pth").write_bytes(whole[: len(whole) // 2])
    torch.save({"weights": _Harm(mark), "fc.weight": torch.zeros(12, 8)}, folder / "bad-code.pth")
    (folder / "bad-empty.pth").write_bytes(b"")
    classes = 12
    torch.manual_seed(0)
    hungry = nn.Sequential(
        nn.Conv2d(3, 4096, 3, padding=1), nn.ReLU(), nn.Conv2d(4096, 8, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes),
    )  # fmt: skip
    torch.save(hungry.state_dict(), folder / "bad-hungry.pth")
    layers: list[nn.Module] = [nn.Conv2d(3, 512, 3, padding=1), nn.ReLU()]
    for _ in range(12):
        layers += [nn.Conv2d(512, 512, 3, padding=1), nn.ReLU()]
    endless = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    torch.save(endless.state_dict(), folder / "bad-endless.pth")
    return {
        "bad-truncated.pth": "refused", "bad-code.pth": "refused", "bad-empty.pth": "refused",
        "bad-hungry.pth": "out-of-memory", "bad-endless.pth": "timed-out",
    }  # fmt: skip
