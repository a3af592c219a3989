"""A sequence of layers and what is between them, as a runnable network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from bdshift.checkpoints.chain.row import ConvRow, Layer, Norm
from bdshift.checkpoints.families.base import ACTIVATIONS

Pooling = Literal["max", "avg"]
PRELU = "PReLU"


@dataclass(frozen=True)
class Convolution:
    """What the weights do not say about a convolution, and the pooling after it: (kernel, stride,
    padding) or None.
    """

    stride: int = 1
    padding: int = 0
    dilation: int = 1
    pool: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Form:
    """What all layers have in common.

    Attributes:
        activation: a key of `ACTIVATIONS`, or "PReLU", whose slopes are in the file.
        pooling: "max" or "avg".
        norm_last: the norm is after the activation, not before it.
        channels_last: pixels are flattened as (h, w, c), as in networks converted from Keras.
    """

    activation: str = "ReLU"
    pooling: Pooling = "max"
    norm_last: bool = False
    channels_last: bool = False


@dataclass(frozen=True)
class Geometry:
    """How the image shrinks on its way through the network.

    Attributes:
        size: of the image, in pixels.
        convolutions: one entry for each.
        shrink: side in pixels to which the map is average-pooled before flattening; 0 if it is not.
        any_size: whether images of other sizes work, too.
    """

    size: int
    convolutions: tuple[Convolution, ...]
    shrink: int = 0
    any_size: bool = False


class Chain(nn.Module):
    """Convolutions, flattening, linear layers. Modules have the paths of the file's keys."""

    def __init__(self, row: ConvRow, geometry: Geometry, form: Form) -> None:
        super().__init__()
        self.row, self.geometry, self.form = row, geometry, form
        self.images = row.channels or 3
        if row.first is not None:
            _put(self, row.first.path, _norm(row.first, flat=False))
        channels = row.channels
        for layer, how in zip(row.convs, geometry.convolutions, strict=True):
            out, given, *kernel = layer.shape
            conv = nn.Conv2d(
                channels, out, (kernel[0], kernel[1]), how.stride, how.padding, how.dilation,
                groups=channels // given, bias=layer.bias,
            )  # fmt: skip
            self._add(layer, conv)
            channels = out
        for layer in row.linears:
            self._add(layer, nn.Linear(layer.shape[1], layer.out, bias=layer.bias))

    def _add(self, layer: Layer, module: nn.Module) -> None:
        _put(self, layer.path, module)
        if layer.norm is not None:
            _put(self, layer.norm.path, _norm(layer.norm, flat=not layer.is_conv))
        if layer.prelu is not None:
            _put(self, layer.prelu[0], nn.PReLU(layer.prelu[1]))

    def _through(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        x = self.get_submodule(layer.path)(x)
        norm = None if layer.norm is None else self.get_submodule(layer.norm.path)
        if norm is not None and not self.form.norm_last:
            x = norm(x)
        if layer.prelu is not None:
            x = self.get_submodule(layer.prelu[0])(x)
        elif self.form.activation != PRELU:
            x = ACTIVATIONS[self.form.activation](x)
        return norm(x) if norm is not None and self.form.norm_last else x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of images (n, channels, size, size)."""
        if self.row.first is not None:
            x = self.get_submodule(self.row.first.path)(x)
        for layer, how in zip(self.row.convs, self.geometry.convolutions, strict=True):
            x = self._through(layer, x)
            if how.pool is not None:
                pool = (
                    functional.max_pool2d if self.form.pooling == "max" else functional.avg_pool2d
                )
                x = pool(x, *how.pool)
        if self.geometry.shrink:
            x = functional.adaptive_avg_pool2d(x, self.geometry.shrink)
        x = x.permute(0, 2, 3, 1) if self.form.channels_last else x
        x = x.flatten(1)
        for layer in self.row.linears[:-1]:
            x = self._through(layer, x)
        return self.get_submodule(self.row.linears[-1].path)(x)


def _norm(norm: Norm, *, flat: bool) -> nn.Module:
    if norm.kind == "batch":
        kind = nn.BatchNorm1d if flat else nn.BatchNorm2d
        return kind(norm.features, affine=norm.affine)
    return nn.LayerNorm(norm.features) if flat else nn.GroupNorm(1, norm.features)


def _put(root: nn.Module, path: str, module: nn.Module) -> None:
    *folders, name = path.split(".")
    for folder in folders:
        if folder not in root._modules:
            root.add_module(folder, nn.Module())
        root = root.get_submodule(folder)
    root.add_module(name, module)
