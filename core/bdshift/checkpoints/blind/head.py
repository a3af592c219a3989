"""What follows a body: pooling, norms and linear layers, by shapes and order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from bdshift.checkpoints.blind.parts import Part
from bdshift.checkpoints.families.base import Shapes
from bdshift.checkpoints.families.sketch import Sketch, Value

Pooling = Literal["mean", "both", "power"]

_BESIDE = ("proj", "aux", "mlp", "rot", "contrast", "predictor", "domain", "old", "orig")
"""In names of linear layers that are trained beside a classifier, or were one before."""


@dataclass(frozen=True)
class HeadPlan:
    """How a map becomes logits.

    Attributes:
        pooling: "both" is the maximum and the mean, one after the other (fastai); "power" is GeM,
            whose exponent is in the file.
        power: key of that exponent.
        row: norms and linear layers in order; the last is the head.
        norm_last: norms after a linear layer follow its activation.
        label: for the user; "" for one linear layer on the mean.
    """

    pooling: Pooling
    power: str
    row: tuple[Part, ...]
    norm_last: bool
    label: str


class PowerMean(nn.Module):
    """GeM pooling: the mean of the p-th powers, and of that the p-th root; ``p`` is learned."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.name = name
        self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, C, H, W) to (n, C)."""
        p = self.get_parameter(self.name).reshape(())
        return x.clamp(min=1e-6).pow(p).mean((2, 3)).pow(1 / p)


def head_plans(left: Sequence[Part], width: int, shapes: Shapes) -> Iterator[HeadPlan]:
    """Every head that the layers which a body left could be, on its ``width`` channels. All have
    the same layers: those of one place in the file, where several would do.
    """
    power = next((k for k, s in shapes.items() if _is_power(k, s)), "")
    for row in _rows(left):
        pooling: Pooling | None = _pooling(row, width)
        if pooling is None:
            continue
        if pooling == "mean" and power:
            pooling = "power"
        between = any(p.kind == "norm" for p in row[1:])
        for norm_last in (False, True) if between else (False,):
            yield HeadPlan(
                pooling, power if pooling == "power" else "", row, norm_last,
                _label(row, pooling, norm_last),
            )  # fmt: skip
        return


def _is_power(key: str, shape: tuple[int, ...]) -> bool:
    return key.rpartition(".")[2] == "p" and "." in key and math.prod(shape) == 1


def _rows(left: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    """Sets of layers that could be the head, the likeliest first: all of them, those of one module,
    each linear layer alone.
    """
    usable = [part for part in left if part.kind in ("linear", "norm")]
    places: dict[str, list[Part]] = {}
    for part in usable:
        places.setdefault(part.top, []).append(part)
        places.setdefault(part.path.rpartition(".")[0], []).append(part)
    places = {place: list(dict.fromkeys(parts)) for place, parts in places.items()}
    alone = [[part] for part in usable if part.kind == "linear"]
    necks = [
        [norm, *one]
        for one in alone
        for norm in usable
        if norm.kind == "norm" and norm.out == one[0].shape[1]
    ]
    later = [*reversed(list(places.values())), *reversed(necks), *reversed(alone)]
    for row in (usable, *sorted(later, key=lambda row: is_beside(row[-1].path))):
        if row and row[-1].kind == "linear" and row[-1].out > 1 and _joins(row):
            yield tuple(row)


def is_beside(path: str) -> bool:
    """Whether a module's name says that it is not the classifier's head."""
    return any(word in path.lower() for word in _BESIDE)


def _joins(row: Sequence[Part]) -> bool:
    features = row[0].shape[-1]
    for part in row:
        if part.shape[-1] != features:
            return False
        features = part.out
    return True


def _pooling(row: Sequence[Part], width: int) -> Pooling | None:
    given = row[0].shape[-1]
    if given == width:
        return "mean"
    return "both" if given == 2 * width else None


def _label(row: Sequence[Part], pooling: Pooling, norm_last: bool) -> str:
    linears = sum(part.kind == "linear" for part in row)
    words = [
        {"mean": "", "both": "maximum and mean pooled", "power": "GeM pooling"}[pooling],
        "norm before the head" if row[0].kind == "norm" else "",
        f"head of {linears} linear layers" if linears > 1 else "",
        "norm after the activation" if norm_last else "",
    ]
    return ", ".join(word for word in words if word)


def classify(sketch: Sketch, x: Value, plan: HeadPlan) -> None:
    """Write the head onto the map ``x``; a `Misfit` is raised if it does not fit."""
    if plan.pooling == "both":
        pooled = sketch.apply(_most_and_mean, x)
        x = Value(pooled.number, 2 * x.channels, flat=True)
    elif plan.pooling == "power":
        path, _, name = plan.power.rpartition(".")
        x = sketch.pool_with(path, partial(PowerMean, name, sketch.shapes[plan.power]), x)
    else:
        x = sketch.flatten(x, x.channels)
    *row, head = plan.row
    for place, part in enumerate(row):
        if part.kind == "norm" and plan.norm_last and place:
            continue  # written with its linear layer
        x = sketch.layer(part.path, x)
        if part.kind == "linear":
            after = row[place + 1 : place + 2]
            normed = bool(after) and after[0].kind == "norm"
            if normed and plan.norm_last:
                x = sketch.layer(after[0].path, sketch.act(x))
            elif not normed:
                x = sketch.act(x)
        elif place:
            x = sketch.act(x)
    sketch.classify(head.path, x)


def _most_and_mean(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)
