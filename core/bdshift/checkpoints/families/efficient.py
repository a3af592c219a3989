"""EfficientNet as the package efficientnet_pytorch (lukemelas) names it, of any width and depth.

Keys ``_conv_stem, _bn0, _blocks.0._expand_conv, ._bn0, ._depthwise_conv, ._bn1, ._se_reduce,
._se_expand, ._project_conv, ._bn2, _conv_head, _bn1, _fc``. Images are padded as in TensorFlow, so
that a map of n pixels becomes one of ⌈n / stride⌉. A new width begins a stage, and stages halve the
map as published.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.network import pad_same
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched

_STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Of the seven stages."""

_EPSILON = 1e-3


def _conv(sketch: Sketch, name: str, x: Value, stride: int = 1) -> Value:
    kernel = sketch.shape(name)[-1]
    if kernel > 1:
        how = (kernel, kernel), (stride, stride), (1, 1)
        x = sketch.apply(partial(pad_same, how=how), x)
    return sketch.layer(name, x, stride=stride, padding=0)


def _efficient(sketch: Sketch) -> str:
    sketch.epsilon, sketch.sizes = _EPSILON, (224, 32)
    x = sketch.run("", _conv(sketch, "_conv_stem", sketch.image("_conv_stem"), 2), "_bn0 silu")
    blocks = sketch.count("_blocks.{}.")
    strides = iter(_STRIDES)
    width = 0
    for block in range(blocks):
        name = f"_blocks.{block}."
        out = sketch.shape(f"{name}_project_conv")[0]
        stride = 1 if out == width else next(strides, 0)
        if not stride:
            raise Misfit("stages")
        past, width = x, out
        if sketch.has(f"{name}_expand_conv"):
            x = sketch.run(name, x, "_expand_conv _bn0 silu")
        x = sketch.run(name, _conv(sketch, f"{name}_depthwise_conv", x, stride), "_bn1 silu")
        if sketch.has(f"{name}_se_reduce"):
            x = sketch.gate(x, f"{name}_se_reduce", f"{name}_se_expand", "silu")
        x = sketch.run(name, x, "_project_conv _bn2")
        if stride == 1 and x.channels == past.channels:
            x = sketch.add(x, past)
    x = sketch.run("", x, "_conv_head _bn1 silu")
    sketch.classify("_fc", x)
    return f"EfficientNet of {blocks} blocks, width {sketch.shape('_conv_stem')[0]} (lukemelas)"


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The network that fits."""
    return sketched(shapes, _efficient)
