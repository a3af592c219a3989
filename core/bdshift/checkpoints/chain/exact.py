"""Reads what a pickled module says about its layers: none of it has to be searched."""

from __future__ import annotations

from collections.abc import Sequence

from bdshift.checkpoints.chain.network import Convolution, Form, Geometry, Pooling
from bdshift.checkpoints.chain.row import ConvRow
from bdshift.checkpoints.families.base import ACTIVATIONS
from bdshift.checkpoints.objects import SavedLayer

_USUAL = {
    "padding_mode": "zeros", "eps": 1e-5, "approximate": "none", "count_include_pad": True,
    "beta": 1, "alpha": 1.0,
}  # fmt: skip
"""Settings that `Form` does not cover; with other values, the order of layers is not enough."""

_NOTHING = {"Dropout", "Dropout2d", "Flatten", "Identity"}


def _class(layer: SavedLayer) -> str:
    return layer.kind.rpartition(".")[2]


def activation_of(layer: SavedLayer) -> str | None:
    """Its key in `ACTIVATIONS`, if it is one of them."""
    name = _class(layer)
    if name == "LeakyReLU":
        name += f"({layer.settings.get('negative_slope', 0.01)})"
    return name if name in ACTIVATIONS else None


def _number(layer: SavedLayer, name: str) -> int | None:
    """A setting that is one number, or the same number twice."""
    value = layer.settings.get(name)
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    return value if type(value) is int and 0 <= value <= 64 else None


def declared(layer: SavedLayer | None) -> Convolution | None:
    """Stride, padding and dilation of a convolution, if known and the same in both directions."""
    if layer is None:
        return None
    stride, padding = _number(layer, "stride"), _number(layer, "padding")
    dilation = _number(layer, "dilation")
    if not stride or padding is None or not dilation:
        return None
    return Convolution(stride, padding, dilation)


def read_exactly(row: ConvRow, layers: Sequence[SavedLayer]) -> tuple[Geometry, Form] | None:
    """Geometry (with its size left open) and form of an ``nn.Sequential`` of well-known layers,
    whose order is the order of the forward pass; None for anything else.
    """
    paths = [layer.path.rpartition(".") for layer in layers]
    if not layers or not all(name.isdigit() for _, _, name in paths):
        return None
    if any(base.rpartition(".")[0] for base, _, _ in paths):  # Sequentials nested more than once
        return None
    convs: list[Convolution] = []
    activations: set[str] = set()
    poolings: set[Pooling] = set()
    shrink = 0
    norm_last: set[bool] = set()
    active = False
    first = True
    for layer in layers:
        kind = _class(layer)
        if any(layer.settings.get(name, usual) != usual for name, usual in _USUAL.items()):
            return None
        if kind in ("Conv2d", "Linear"):
            if not (first or active):
                return None  # nothing between two layers: every form here has an activation
            first = False
        if kind == "Conv2d":
            how = declared(layer)
            if how is None:
                return None
            convs.append(how)
            active = False
        elif kind == "Linear":
            active = False
        elif kind.startswith("BatchNorm"):
            norm_last.add(active)
        elif (activation := activation_of(layer)) is not None:
            activations.add(activation)
            active = True
        elif kind in ("MaxPool2d", "AvgPool2d"):
            pool = _pool(layer)
            if pool is None or not convs or convs[-1].pool is not None:
                return None
            poolings.add("max" if kind == "MaxPool2d" else "avg")
            last = convs[-1]
            convs[-1] = Convolution(last.stride, last.padding, last.dilation, pool)
        elif kind == "AdaptiveAvgPool2d":
            shrink = _number(layer, "output_size") or 0
            if not shrink:
                return None
        elif kind not in _NOTHING:
            return None
    if len(convs) != len(row.convs) or max(len(activations), len(poolings), len(norm_last)) > 1:
        return None
    if not activations and len(row.layers) > 1:
        return None  # they are calls in a forward method, which may make others, too
    form = Form(
        activations.pop() if activations else "ReLU",
        poolings.pop() if poolings else "max",
        norm_last.pop() if norm_last else False,
    )
    return Geometry(0, tuple(convs), shrink), form


def _pool(layer: SavedLayer) -> tuple[int, int, int] | None:
    kernel, padding = _number(layer, "kernel_size"), _number(layer, "padding")
    stride = _number(layer, "stride") or kernel
    if not kernel or not stride or padding is None or layer.settings.get("ceil_mode"):
        return None
    return kernel, stride, padding
