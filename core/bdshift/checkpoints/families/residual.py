"""Residual networks other than those of `bdshift.checkpoints.families.resnet`: other names, gates.

========================  =======================================  ================  ==========
project                   block                                    shortcut          head
========================  =======================================  ================  ==========
weiaicunzai ResNet, CLP   ``conv2_x.0.residual_function.0, .1 …``  ``shortcut.0``    ``fc``
weiaicunzai SE-ResNet     ``stage1.0.residual.0 …, .excitation``   ``shortcut.0``    ``linear``
weiaicunzai PreActResNet  ``stage1.0.residual.0 …``, norm first    ``shortcut``      ``linear``
weiaicunzai WideResNet    ``conv2.0.residual.0 …``, norm first     ``shortcut.0``    ``linear``
meliketoy WideResNet,     ``layer1.0.bn1, .conv1 …``, norm first,  ``shortcut.0``    ``linear``
backdoor-toolbox          stride in ``conv2``
TrojanZoo                 ``features.layer1.0.conv1, .bn1 …``      ``downsample.0``  ``classifier``
                                                                                     ``.fc``
pytorch-cifar SENet       ``layer1.0.conv1 …, .fc1, .fc2``         ``shortcut.0``    ``linear``
pytorch-cifar RegNet      ``layer1.0.conv1 … .bn3, .se.se1``       ``shortcut.0``    ``linear``
========================  =======================================  ================  ==========

Every stage but the first halves the map; in pytorch-cifar's RegNet, every one but the first two.
weiaicunzai's WideResNet lacks the activation at its end in some versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from bdshift.checkpoints.families.base import MAX_STAGES, Candidate, Shapes
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched


@dataclass(frozen=True)
class _Style:
    """How a project writes its network; layers as in `Sketch.run`.

    Attributes:
        name: for the user; takes ``depth`` or ``blocks``.
        stem: first layers.
        stages: start of a stage's keys, numbered from ``first``.
        bodies: the block's layers, basic and bottleneck; the last one that is complete is taken.
        shortcut: layers parallel to the block where the shape changes.
        head: the linear layer.
        inside: start of the body's names in the block.
        before: layers that body and shortcut share (pre-activation).
        gate: squeeze and excitation, after the body or in it before ``gated``.
        after: what follows the sum; "" with pre-activation.
        end: layers before pooling.
        flat_stages: stages that do not halve the map.
        straight: blocks are as wide at the end as in the middle (RegNet), not wider.
        extra_depth: layers that the published depth counts besides those in blocks.
    """

    name: str
    stem: str
    stages: str
    bodies: tuple[str, ...]
    shortcut: str
    head: str
    inside: str = ""
    first: int = 1
    before: str = ""
    gate: str = ""
    gated: str = ""
    after: str = "act"
    end: str = ""
    flat_stages: int = 1
    straight: bool = False
    extra_depth: int = 2


_BASIC = "conv1/ bn1 act conv2 bn2"
_BOTTLENECK = "conv1 bn1 act conv2/ bn2 act conv3 bn3"
_NORMED = "shortcut.0/ shortcut.1"
_STYLES = (
    _Style(
        "ResNet-{depth} (weiaicunzai)", "conv1.0 conv1.1 act", "conv{}_x.",
        ("0/ 1 act 3 4", "0 1 act 3/ 4 act 6 7"), _NORMED, "fc", inside="residual_function.",
        first=2,
    ),
    _Style(
        "SE-ResNet-{depth} (weiaicunzai)", "pre.0 pre.1 act", "stage{}.",
        ("0/ 1 act 3 4 act", "0 1 act 3/ 4 act 6 7 act"), _NORMED, "linear", inside="residual.",
        gate="excitation.0 excitation.2",
    ),
    _Style(
        "PreActResNet-{depth} (weiaicunzai)", "pre.0 pre.1 act", "stage{}.",
        ("0 act 2/ 3 act 5", "0 act 2/ 3 act 5 6 act 8"), "shortcut/", "linear",
        inside="residual.", after="",
    ),
    _Style(
        "WRN-{depth} (weiaicunzai)", "init_conv", "conv{}.", ("0 act 2/ 3 act 6",), "shortcut.0/",
        "linear", inside="residual.", first=2, after="", end="bn act", extra_depth=4,
    ),
    _Style(
        "WRN-{depth}, no activation at the end (weiaicunzai)", "init_conv", "conv{}.",
        ("0 act 2/ 3 act 6",), "shortcut.0/", "linear", inside="residual.", first=2, after="",
        end="bn", extra_depth=4,
    ),
    _Style(
        "WRN-{depth} (meliketoy)", "conv1", "layer{}.", ("bn1 act conv1 bn2 act conv2/",),
        "shortcut.0/", "linear", after="", end="bn1 act", extra_depth=4,
    ),
    _Style(
        "ResNet-{depth} (TrojanZoo)", "features.conv1/ features.bn1 act", "features.layer{}.",
        (_BASIC, _BOTTLENECK), "downsample.0/ downsample.1", "classifier.fc",
    ),
    _Style(
        "SENet-{depth} (pytorch-cifar)", "conv1 bn1 act", "layer{}.", (_BASIC,), _NORMED, "linear",
        gate="fc1 fc2",
    ),
    _Style(
        "SENet-{depth}, pre-activation (pytorch-cifar)", "conv1 bn1 act", "layer{}.",
        ("conv1/ bn2 act conv2",), "shortcut.0/", "linear", before="bn1 act", gate="fc1 fc2",
        after="",
    ),
    _Style(
        "RegNetX of {blocks} blocks (pytorch-cifar)", "conv1 bn1 act", "layer{}.", (_BOTTLENECK,),
        _NORMED, "linear", flat_stages=2, straight=True,
    ),
    _Style(
        "RegNetY of {blocks} blocks (pytorch-cifar)", "conv1 bn1 act", "layer{}.", (_BOTTLENECK,),
        _NORMED, "linear", gate="se.se1 se.se2", gated="conv3", flat_stages=2,
        straight=True,
    ),
)  # fmt: skip


def _layers(words: str) -> list[str]:
    """The layers among the words."""
    return [word.removesuffix("/") for word in words.split() if word != "act"]


def _complete(sketch: Sketch, style: _Style, block: str) -> str:
    """The body whose layers the block has.

    Raises `Misfit` if it has none completely.
    """
    for body in reversed(style.bodies):
        if all(sketch.has(block + style.inside + layer) for layer in _layers(body)):
            return body
    raise Misfit(block)


def _block(sketch: Sketch, style: _Style, body: str, name: str, x: Value, stride: int) -> Value:
    past = x
    if style.before:
        x = sketch.run(name, x, style.before)
    if sketch.has(name + _layers(style.shortcut)[0]):
        past = sketch.run(name, x, style.shortcut, stride=stride)
    elif stride != 1:
        raise Misfit(name)
    inner, outer = body, ""
    if style.gated:
        at = body.index(style.gated)
        inner, outer = body[:at], body[at:]
    x = sketch.run(name + style.inside, x, inner, stride=stride)
    if style.gate:
        squeeze, excite = style.gate.split()
        x = sketch.gate(x, name + squeeze, name + excite)
    x = sketch.run(name + style.inside, x, outer)
    return sketch.run(name, sketch.add(x, past), style.after)


def _residual(sketch: Sketch, style: _Style) -> str:
    stem = _layers(style.stem)[0]
    large = sketch.shape(stem)[-1] >= 7
    x = sketch.run("", sketch.image(stem), style.stem, stride=2 if large else 1)
    if large:
        x = sketch.max_pool(x, 3, 2, 1)
        sketch.sizes = (224, 32)
    first = f"{style.stages.format(style.first)}0.{style.inside}"
    blocks, body = 0, _complete(sketch, style, f"{style.stages.format(style.first)}0.")
    for stage in range(MAX_STAGES):
        start = style.stages.format(stage + style.first)
        if stage and not sketch.has(f"{start}0.{style.inside}{_layers(body)[0]}"):
            break
        for block in range(sketch.count(f"{start}{{}}.")):
            stride = 2 if block == 0 and stage >= style.flat_stages else 1
            x = _block(sketch, style, body, f"{start}{block}.", x, stride)
            blocks += 1
    sketch.classify(style.head, sketch.run("", x, style.end))
    shapes = [sketch.shape(first + layer) for layer in _layers(body)]
    widths = [shape[0] for shape in shapes if len(shape) == 4]
    if style.straight and widths[-1] != widths[-2]:
        raise Misfit(first)
    depth = blocks * len(widths) + style.extra_depth
    return style.name.format(depth=depth, blocks=blocks) + f", width {widths[0]}"


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The network that fits; two if a missing activation leaves no trace."""
    return sketched(shapes, *(partial(_residual, style=style) for style in _STYLES))
