"""MobileNet, MobileNetV2 and EfficientNet for small images, of any width.

=====================  =============================================  ==================
project                blocks                                         head
=====================  =============================================  ==================
pytorch-cifar,         ``layers.0.conv1, .bn1, .conv2, .bn2``; V2     ``linear``
BackdoorBench          also ``.conv3, .shortcut.0``; EfficientNet
                       ``.se.se1, .se.se2`` (older: ``.se1``)
weiaicunzai MobileNet  ``conv1.0.depthwise.0, .pointwise.0``          ``fc``
weiaicunzai V2,        ``stage2.0.residual.0, .1, .3 …``              ``conv2`` (1×1)
backdoor-toolbox
PyTorch_CIFAR10,       ``features.1.conv.0.0`` … (torchvision's       ``classifier.1``
pytorch-cifar-models,  names)
TrojanZoo (``_comp``)
=====================  =============================================  ==================

No tensor shows a block's stride. pytorch-cifar's V2 has a shortcut wherever a block of stride 1
changes the channels; elsewhere a new width begins a stage, and stages halve the map as published.
For torchvision's names, the strides of the CIFAR zoos are handled here; torchvision's own are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched

_EFFICIENT = (1, 2, 2, 2, 1, 2, 1)
_SMALL_V2 = (1, 1, 2, 2, 1, 2, 1)
"""Strides of the seven stages; the second has 2 on ImageNet."""


def _stage_strides(widths: list[int], strides: tuple[int, ...], starts: set[int]) -> list[int]:
    """Stride of each block: its stage's where the stage starts, else 1.

    Raises `Misfit` unless there are as many stages as strides.
    """
    if len(starts) != len(strides):
        raise Misfit("stages")
    left = iter(strides)
    return [next(left) if i in starts else 1 for i in range(len(widths))]


def _starts(widths: list[int]) -> set[int]:
    """Blocks that begin a new width."""
    return {i for i, width in enumerate(widths) if i == 0 or width != widths[i - 1]}


def _mobilenet(sketch: Sketch) -> str:
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 act")
    width = x.channels
    for block in range(sketch.count("layers.{}.conv1.")):
        wider = sketch.shape(f"layers.{block}.conv2")[0] > x.channels
        stride = 2 if wider and block else 1
        x = sketch.run(f"layers.{block}.", x, "conv1/ bn1 act conv2 bn2 act", stride=stride)
    sketch.classify("linear", x)
    return f"MobileNet, width {width} (pytorch-cifar)"


def _mobilenet_by_name(sketch: Sketch) -> str:
    x = sketch.run("stem.0.", sketch.image("stem.0.conv"), "conv bn act")
    width = x.channels
    for stage in ("stem", "conv1", "conv2", "conv3", "conv4"):
        block = 1 if stage == "stem" else 0
        while block == 0 or sketch.has(f"{stage}.{block}.depthwise.0"):
            words = "depthwise.0/ depthwise.1 act pointwise.0 pointwise.1 act"
            stride = 2 if block == 0 else 1
            x = sketch.run(f"{stage}.{block}.", x, words, stride=stride)
            block += 1
    sketch.classify("fc", x)
    return f"MobileNet, width {width} (weiaicunzai)"


def _v2(sketch: Sketch) -> str:
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 act")
    width = x.channels
    for block in range(sketch.count("layers.{}.conv1.")):
        name = f"layers.{block}."
        out = sketch.shape(f"{name}conv3")[0]
        projected = sketch.has(f"{name}shortcut.0")
        stride = 1 if projected or out == x.channels else 2
        past = sketch.run(f"{name}shortcut.", x, "0 1") if projected else x
        x = sketch.run(name, x, "conv1 bn1 act conv2/ bn2 act conv3 bn3", stride=stride)
        if stride == 1:
            x = sketch.add(x, past)
    sketch.classify("linear", sketch.run("", x, "conv2 bn2 act"))
    return f"MobileNetV2, width {width} (pytorch-cifar)"


def _efficientnet(sketch: Sketch) -> str:
    blocks = sketch.count("layers.{}.se.se1.")
    widths = [sketch.shape(f"layers.{block}.conv3")[0] for block in range(blocks)]
    strides = _stage_strides(widths, _EFFICIENT, _starts(widths))
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 silu")
    for block, stride in enumerate(strides):
        name, past = f"layers.{block}.", x
        if sketch.shape(f"{name}conv1")[0] != x.channels:
            x = sketch.run(name, x, "conv1 bn1 silu")
        else:  # created, but not used
            sketch.keep(f"{name}bn1", sketch.keep(f"{name}conv1", x))
        x = sketch.run(name, x, "conv2/ bn2 silu", stride=stride)
        x = sketch.gate(x, f"{name}se.se1", f"{name}se.se2", "silu")
        x = sketch.run(name, x, "conv3 bn3")
        if stride == 1 and x.channels == past.channels:
            x = sketch.add(x, past)
    sketch.classify("linear", x)
    return f"EfficientNet of {blocks} blocks (pytorch-cifar)"


def _old_efficientnet(sketch: Sketch) -> str:
    """An older version; where a block halves the map, its code adds the output to itself."""
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 silu")
    blocks = sketch.count("layers.{}.se1.")
    for block in range(blocks):
        name = f"layers.{block}."
        projected = sketch.has(f"{name}shortcut.0")
        stride = 1 if projected or sketch.shape(f"{name}conv3")[0] == x.channels else 2
        past = sketch.run(f"{name}shortcut.", x, "0 1") if projected else x
        x = sketch.run(name, x, "conv1 bn1 silu conv2/ bn2 silu", stride=stride)
        x = sketch.run(name, sketch.gate(x, f"{name}se1", f"{name}se2", "silu"), "conv3 bn3")
        x = sketch.add(x, past if stride == 1 else x)
    sketch.classify("linear", x)
    return f"EfficientNet of {blocks} blocks (pytorch-cifar, older)"


def _v2_by_stage(sketch: Sketch) -> str:
    x = sketch.layer("pre.0", sketch.image("pre.0"), padding=1)  # 1×1, but padded anyway
    x = sketch.run("pre.", x, "1 relu6")
    width, words = x.channels, "0 1 relu6 3/ 4 relu6 6 7"
    for stage, stride in zip(range(1, 8), (1, 2, 2, 2, 1, 1, 1), strict=True):
        alone = sketch.has(f"stage{stage}.residual.0")
        names = [""] if alone else [f"{i}." for i in range(sketch.count(f"stage{stage}.{{}}."))]
        for index, name in enumerate(names):
            step = stride if index == 0 else 1
            out = sketch.run(f"stage{stage}.{name}residual.", x, words, stride=step)
            x = sketch.add(out, x) if step == 1 and out.channels == x.channels else out
    sketch.classify("conv2", sketch.run("conv1.", x, "0 1 relu6"))
    return f"MobileNetV2, width {width} (weiaicunzai)"


def _torchvision_block(sketch: Sketch, name: str, x: Value, stride: int) -> Value:
    expanded = sketch.has(f"{name}conv.1.0")
    words = "conv.0.0 conv.0.1 relu6 conv.1.0/ conv.1.1 relu6 conv.2 conv.3"
    out = sketch.run(
        name, x, words if expanded else "conv.0.0/ conv.0.1 relu6 conv.1 conv.2", stride=stride
    )
    return sketch.add(x, out) if stride == 1 and out.channels == x.channels else out


def _torchvision_names(sketch: Sketch) -> str:
    last = sketch.count("features.{}.") - 1
    widths = []
    for block in range(1, last):
        narrow = 2 if sketch.has(f"features.{block}.conv.1.0") else 1
        widths.append(sketch.shape(f"features.{block}.conv.{narrow}")[0])
    starts = _starts(widths)
    if len(starts) != len(_SMALL_V2) and len(widths) == 17:  # narrow ones round to equal widths
        starts = {0, 1, 3, 6, 10, 13, 16}
    x = sketch.run("features.0.", sketch.image("features.0.0"), "0 1 relu6")
    width = x.channels
    for block, stride in enumerate(_stage_strides(widths, _SMALL_V2, starts), 1):
        x = _torchvision_block(sketch, f"features.{block}.", x, stride)
    sketch.classify("classifier.1", sketch.run(f"features.{last}.", x, "0 1 relu6"))
    return f"MobileNetV2, width {width}, CIFAR strides"


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The one network that fits."""
    return sketched(
        shapes,
        _mobilenet,
        _mobilenet_by_name,
        _v2,
        _efficientnet,
        _old_efficientnet,
        _v2_by_stage,
        _torchvision_names,
    )
