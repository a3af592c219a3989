"""ShuffleNets for small images, of any width.

=====================  ================================  =============================  ==========
project                half that is changed              half that is kept, halving     head
=====================  ================================  =============================  ==========
pytorch-cifar V1       ``layer1.0.conv1, .bn1 … .bn3``   no weights                     linear
pytorch-cifar V2       ``layer1.0.conv3 …``, then        ``layer1.0.conv1 … .bn2``      linear
                       ``layer1.1.conv1 …``
weiaicunzai V2         ``stage2.0.residual.0 …``         ``stage2.0.shortcut.0 …``      fc
pytorch-cifar-models   ``stage2.0.branch2.0 …``          ``stage2.0.branch1.0 …``       fc
TrojanZoo (``_comp``)  ``features.stage2.0.branch2.0``   ``features.stage2.0.branch1``  classifier
                                                                                        ``.fc``
=====================  ================================  =============================  ==========

The last two have torchvision's names without its max-pool and stride in the stem.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from bdshift.checkpoints.families.base import Candidate, Shapes
from bdshift.checkpoints.families.sketch import Misfit, Sketch, Value, sketched


def _interleave(x: torch.Tensor, groups: int) -> torch.Tensor:
    n, channels, height, width = x.shape
    return x.reshape(n, groups, channels // groups, height, width).transpose(1, 2).flatten(1, 2)


def _shuffle(sketch: Sketch, x: Value, groups: int) -> Value:
    if x.channels % groups:
        raise Misfit("groups")
    return sketch.apply(partial(_interleave, groups=groups), x)


def _first(sketch: Sketch) -> str:
    """Version 1: grouped 1×1 convolutions; a block that halves the map adds its channels."""
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 act")
    for stage in (1, 2, 3):
        for block in range(sketch.count(f"layer{stage}.{{}}.")):
            name, stride = f"layer{stage}.{block}.", 2 if block == 0 else 1
            groups = x.channels // sketch.shape(f"{name}conv1")[1]
            out = sketch.run(name, x, "conv1 bn1 act")
            out = _shuffle(sketch, out, max(1, groups))
            out = sketch.run(name, out, "conv2/ bn2 act conv3 bn3", stride=stride)
            if stride == 2:
                x = sketch.concatenate(out, sketch.average_pool(x, 3, 2, 1))
            else:
                x = sketch.add(out, x)
            x = sketch.act(x)
    sketch.classify("linear", x)
    return f"ShuffleNet, width {x.channels} (pytorch-cifar)"


def _halving(sketch: Sketch, x: Value, kept: tuple[str, str], changed: tuple[str, str]) -> Value:
    """Both branches see all channels; each is a prefix and its words."""
    left = sketch.run(kept[0], x, kept[1], stride=2)
    right = sketch.run(changed[0], x, changed[1], stride=2)
    return _shuffle(sketch, sketch.concatenate(left, right), 2)


def _keeping(sketch: Sketch, x: Value, changed: tuple[str, str]) -> Value:
    """One half of the channels goes through the branch."""
    left, right = sketch.split(x, x.channels // 2)
    right = sketch.run(changed[0], right, changed[1])
    return _shuffle(sketch, sketch.concatenate(left, right), 2)


def _second(sketch: Sketch) -> str:
    """Version 2 in pytorch-cifar's names."""
    x = sketch.run("", sketch.image("conv1"), "conv1 bn1 act")
    for stage in (1, 2, 3):
        name = f"layer{stage}.0."
        kept = (name, "conv1/ bn1 conv2 bn2 act")
        x = _halving(sketch, x, kept, (name, "conv3 bn3 act conv4/ bn4 conv5 bn5 act"))
        for block in range(1, sketch.count(f"layer{stage}.{{}}.")):
            words = "conv1 bn1 act conv2 bn2 conv3 bn3 act"
            x = _keeping(sketch, x, (f"layer{stage}.{block}.", words))
    width = x.channels
    sketch.classify("linear", sketch.run("", x, "conv2 bn2 act"))
    return f"ShuffleNetV2, width {width} (pytorch-cifar)"


def _second_by_stage(
    sketch: Sketch, *, start: str, stem: str, changed: str, kept: str, head: str, project: str
) -> str:
    """Version 2 in stages 2 to 4, with the names of torchvision or weiaicunzai."""
    x = sketch.run(start, sketch.image(f"{start}{stem.split()[0]}"), stem)
    for stage in (2, 3, 4):
        for block in range(sketch.count(f"{start}stage{stage}.{{}}.")):
            name = f"{start}stage{stage}.{block}."
            right = (f"{name}{changed}.", "0 1 act 3/ 4 5 6 act")
            if block == 0:
                x = _halving(sketch, x, (f"{name}{kept}.", "0/ 1 2 3 act"), right)
            else:
                x = _keeping(sketch, x, right)
    width = x.channels
    sketch.classify(head, sketch.run(start, x, "conv5.0 conv5.1 act"))
    return f"ShuffleNetV2, width {width} ({project})"


_TORCHVISION = partial(
    _second_by_stage, stem="conv1.0 conv1.1 act", changed="branch2", kept="branch1"
)
_CIFAR_ZOOS = partial(_TORCHVISION, start="", head="fc", project="pytorch-cifar-models")
_TROJANZOO = partial(_TORCHVISION, start="features.", head="classifier.fc", project="TrojanZoo")
_WEIAICUNZAI = partial(
    _second_by_stage, start="", stem="pre.0 pre.1", changed="residual", kept="shortcut", head="fc",
    project="weiaicunzai",
)  # fmt: skip


def propose(shapes: Shapes) -> Iterator[Candidate]:
    """The one network that fits."""
    return sketched(shapes, _first, _second, _WEIAICUNZAI, _CIFAR_ZOOS, _TROJANZOO)
