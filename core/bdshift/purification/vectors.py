"""Task vectors: the difference between the weights of two networks of one architecture.

Numbers that are not learned (the running statistics of batch norms, counters) are no part of one:
subtracted, they would destroy the network.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from bdshift.checkpoints.own_files import OwnFile, named
from bdshift.errors import InputError, UsageError
from bdshift.jobs import SILENT, JobContext

_MAX_TABLE_BYTES = 16 * 1024 * 1024

Vector = Mapping[str, torch.Tensor]
"""A task vector: float32, by the names of a network's parameters."""


@dataclass(frozen=True)
class AboutVector:
    """Where a task vector comes from.

    Attributes:
        model: SHA-256 of the checkpoint whose weights it starts from.
        architecture: of that.
        method: text of the method that estimated it.
        trigger: text of the trigger that it stands for; empty if that was not told.
        target: the class that the trigger sends images to; −1 if that was not told.
        seed: of the estimate.
        images: SHA-256 of the images that it was estimated on; empty if that was not told.
        alpha: how much of it was subtracted; 0 if that was not told.
    """

    model: str = ""
    architecture: str = ""
    method: str = ""
    trigger: str = ""
    target: int = -1
    seed: int = 0
    images: str = ""
    alpha: float = 0.0


def layers_of(network: nn.Module, chosen: Collection[str] = ()) -> list[str]:
    """Names of the parameters in the layers ``chosen``, by the beginnings of their names; of all
    for none. Raises `UsageError` if a layer has none.
    """
    names = [name for name, _ in network.named_parameters()]
    for layer in chosen:
        if not any(_is_in(name, layer) for name in names):
            tops = tuple(dict.fromkeys(name.partition(".")[0] for name in names))
            raise UsageError(
                "{layer} is no layer with weights; choose among {names}, or parts of them",
                layer=repr(layer), names=tops,
            )  # fmt: skip
    return [name for name in names if not chosen or any(_is_in(name, one) for one in chosen)]


def _is_in(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")


def weights_of(network: nn.Module, names: Collection[str]) -> dict[str, torch.Tensor]:
    """A copy of the parameters ``names``, where they are."""
    return {
        name: value.detach().clone() for name, value in network.named_parameters() if name in names
    }


def difference(after: Vector, before: Vector, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """(after − before) · ``scale``, of the parameters that both have."""
    return {name: (after[name] - before[name]) * scale for name in after if name in before}


def move(network: nn.Module, base: Vector, vector: Vector, scale: float) -> None:
    """Set the network's parameters to ``base`` + ``scale`` · ``vector``."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name in vector:
                value.copy_(base[name]).add_(vector[name], alpha=scale)


def length(vector: Vector) -> float:
    """The L2 norm of all its numbers."""
    squares = [float(value.cpu().double().square().sum()) for value in vector.values()]
    return float(sum(squares) ** 0.5)


@dataclass(frozen=True)
class SavedVector:
    """A task vector as a file holds it."""

    about: AboutVector
    vector: Vector

    def content(self) -> bytes:
        """The file, safetensors: the same vector makes the same bytes."""
        return _FILE.content(asdict(self.about), self.vector)


def read_vector(path: Path, network: nn.Module, *, job: JobContext = SILENT) -> SavedVector:
    """Read such a file for a network, on whose device it then is. It may come from anyone: nothing
    is loaded that the network has no place for.

    Raises `InputError` if it is none, was written by a newer version, is of another architecture,
    or its numbers are not finite.
    """
    own = dict(network.named_parameters())
    most = _MAX_TABLE_BYTES + sum(4 * value.numel() for value in own.values())
    vector = {}
    with named(path):
        told, tensors = _FILE.read(path, asdict(AboutVector()), most, job=job)
        about = AboutVector(**told)
        if not math.isfinite(about.alpha):
            raise _no_vector()
        for name, lazy in tensors.items():
            if name not in own or tuple(own[name].shape) != lazy.shape:
                raise InputError(
                    "the task vector is of another architecture ({architecture}): this network has "
                    "no {name} of the shape {shape}",
                    architecture=about.architecture or "?", name=name, shape=str(list(lazy.shape)),
                )  # fmt: skip
            if lazy.dtype != "float32" or not (value := lazy.load()).isfinite().all():
                raise InputError("its {name} holds no finite float32 numbers", name=name)
            vector[name] = value.to(own[name].device)
    return SavedVector(about, vector)


def _no_vector() -> InputError:
    return InputError("is no task vector that bdshift has written")


def _too_large() -> InputError:
    return InputError("is larger than a task vector of this network")


_FILE = OwnFile("bdshift-task-vector", 1, _no_vector, _too_large)
