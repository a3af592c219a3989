"""The sequence of layers that a state dict describes, in the order of the forward pass."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from bdshift.checkpoints.families.base import Shapes

MAX_LAYERS = 64
"""More convolutions and linear layers in a row than any plain network has."""

_NORM_PARTS = frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Norm:
    """A normalization: ``kind`` "batch" (with running statistics) or "layer"."""

    path: str
    kind: Literal["batch", "layer"]
    features: int
    affine: bool


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer and the norm after it.

    Attributes:
        path: in the state dict.
        shape: of its weight.
        bias: whether it has one.
        norm: the one after it, if any.
        prelu: path and size of the slopes of a PReLU after it, if any.
    """

    path: str
    shape: tuple[int, ...]
    bias: bool
    norm: Norm | None = None
    prelu: tuple[str, int] | None = None

    @property
    def is_conv(self) -> bool:
        """Whether it is a convolution."""
        return len(self.shape) == 4

    @property
    def out(self) -> int:
        """Output channels or features."""
        return self.shape[0]


@dataclass(frozen=True)
class ConvRow:
    """Convolutions, then linear layers; ``first`` is a norm of the image itself, if any."""

    convs: tuple[Layer, ...]
    linears: tuple[Layer, ...]
    first: Norm | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All of them."""
        return self.convs + self.linears

    @property
    def channels(self) -> int:
        """Channels of the image; 0 if there is no convolution to tell."""
        return self.convs[0].shape[1] if self.convs else 0


def read_row(shapes: Shapes) -> ConvRow | None:
    """The sequence, or None if the tensors do not form one: other kinds of tensors among them,
    layers that do not fit each other, or no linear layer at the end.
    """
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        path, _, name = key.rpartition(".")
        if name not in _NORM_PARTS or not path or 0 in shape:
            return None
        parts.setdefault(path, {})[name] = shape
    main: list[Layer] = []
    norms: list[Norm] = []
    slopes: list[tuple[str, int]] = []
    for path, own in parts.items():
        weight = own.get("weight", ())
        if "running_mean" in own:
            mean = own["running_mean"]
            if len(mean) != 1 or own.get("running_var") != mean or weight not in ((), mean):
                return None
            norms.append(Norm(path, "batch", mean[0], bool(weight)))
        elif len(weight) in (2, 4) and set(own) <= {"weight", "bias"}:
            if own.get("bias", weight[:1]) != weight[:1]:
                return None
            main.append(Layer(path, weight, "bias" in own))
        elif len(weight) == 1 and "bias" not in own:
            slopes.append((path, weight[0]))
        elif len(weight) == 1 and own.get("bias") == weight:
            norms.append(Norm(path, "layer", weight[0], True))
        else:
            return None
    if not main or len(main) > MAX_LAYERS:
        return None
    ordered = _in_order(main)
    if ordered is None or ordered[-1].is_conv:
        return None
    return _with_norms(ordered, norms, slopes, list(parts))


def _in_order(main: Sequence[Layer]) -> list[Layer] | None:
    """In the file's order if they fit each other that way, else by the numbers in their names, else
    by their sizes alone.
    """
    by_number = sorted(main, key=lambda layer: (not layer.is_conv, _natural(layer.path)))
    for order in (list(main), by_number):
        if _follow(order):
            return order
    return _linked(main)


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d{1,9})", path) if p]


def _accepts(layer: Layer, channels: int) -> bool:
    """Whether a convolution takes this many channels, either all together or depthwise."""
    given = layer.shape[1]
    return given == channels or (given == 1 and layer.out % channels == 0)


def _joins(before: Layer, after: Layer) -> bool:
    if before.is_conv and after.is_conv:
        return _accepts(after, before.out)
    if before.is_conv:
        return after.shape[1] % before.out == 0
    return not after.is_conv and after.shape[1] == before.out


def _follow(order: Sequence[Layer]) -> bool:
    if order[0].is_conv and order[0].shape[1] not in (1, 3):
        return False
    return all(_joins(a, b) for a, b in pairwise(order))


def _linked(main: Sequence[Layer]) -> list[Layer] | None:
    """The only order in which each layer's inputs are the outputs of the one before, without
    grouped convolutions; None if there is none, or more than one.
    """
    left = list(main)
    starts = [layer for layer in left if layer.is_conv and layer.shape[1] in (1, 3)]
    if len(starts) != 1:
        return None
    order = [starts[0]]
    left.remove(starts[0])
    while left:
        out = order[-1].out
        if any(layer.is_conv for layer in left):
            fitting = [x for x in left if x.is_conv and x.shape[1] == out]
        elif order[-1].is_conv:
            inner = {x.shape[1] for x in left} - {x.out for x in left}
            fitting = [x for x in left if x.shape[1] in inner and x.shape[1] % out == 0]
        else:
            fitting = [x for x in left if x.shape[1] == out]
        if len(fitting) != 1:
            return None
        order.append(fitting[0])
        left.remove(fitting[0])
    return order


def _with_norms(
    order: list[Layer], norms: list[Norm], slopes: list[tuple[str, int]], paths: list[str]
) -> ConvRow | None:
    """Assign each norm, and each PReLU, to its layer: the one before it in the file, else the one
    with the same number, else the first of its size that has none.
    """
    place = {path: position for position, path in enumerate(paths)}
    first: Norm | None = None
    if order[0].is_conv:
        own = [n for n in norms if n.features == order[0].shape[1]]
        if own and own[0].features != order[0].out:
            first = own[0]
            norms = [norm for norm in norms if norm is not first]
    given = _assign([(norm.path, norm.features) for norm in norms], order, place)
    sloped = _assign(slopes, order, place)
    if given is None or sloped is None:
        return None
    by_path = {norm.path: norm for norm in norms}
    sizes = dict(slopes)
    done = [
        replace(
            layer,
            norm=by_path[given[i]] if i in given else None,
            prelu=(sloped[i], sizes[sloped[i]]) if i in sloped else None,
        )
        for i, layer in enumerate(order)
    ]
    if done[-1].norm is not None or done[-1].prelu is not None:
        return None
    return ConvRow(
        tuple(layer for layer in done if layer.is_conv),
        tuple(layer for layer in done if not layer.is_conv),
        first,
    )


def _assign(
    wanted: Sequence[tuple[str, int]], order: Sequence[Layer], place: dict[str, int]
) -> dict[int, str] | None:
    """Path of what follows a layer, by the layer's position; None if something fits no layer."""

    def fits(layer: Layer, size: int) -> bool:
        return size in (layer.out, 1)

    def before(path: str) -> int:
        """The layer before it in the file."""
        behind = [(place[x.path], i) for i, x in enumerate(order) if place[x.path] < place[path]]
        return max(behind, default=(0, -1))[1]

    def same_number(path: str) -> int:
        number = _last_number(path)
        kinds = [i for i, x in enumerate(order) if number and _last_number(x.path) == number]
        return kinds[0] if kinds else -1

    for find in (before, same_number):
        found = {find(path): path for path, _ in wanted}
        sizes = dict(wanted)
        if len(found) == len(wanted) and all(
            i >= 0 and fits(order[i], sizes[path]) for i, path in found.items()
        ):
            return found
    found = {}
    position = 0
    for path, size in wanted:
        position = _next(order, position, size)
        if position < 0:
            return None
        found[position] = path
        position += 1
    return found


def _next(order: Sequence[Layer], start: int, size: int) -> int:
    return next((i for i in range(start, len(order)) if order[i].out == size), -1)


def _last_number(path: str) -> str:
    found = _NUMBER.findall(path)
    return found[-1] if found else ""


def silent_slots(order: Iterable[Layer], shapes: Shapes) -> dict[str, int]:
    """Number of layers without weights between a layer (its norm included) and the next one with
    weights, for layers in an ``nn.Sequential``, whose indices count them.
    """
    slots: dict[str, set[int]] = {}
    for key in shapes:
        path = key.rpartition(".")[0]
        base, _, number = path.rpartition(".")
        if number.isdigit() and len(number) < 6:
            slots.setdefault(base, set()).add(int(number))
    found = {}
    for layer in order:
        last = layer.norm.path if layer.norm else layer.path
        base, _, number = last.rpartition(".")
        if not number.isdigit() or len(number) >= 6:
            continue
        later = [slot for slot in slots[base] if slot > int(number)]
        if later:
            found[layer.path] = min(later) - int(number) - 1
    return found
